"""What is due at which step beside training: a validation, a checkpoint, a preview."""

from trainer.config import RunConfig

FIRST = ("validation", "preview")
"""What is done before the first step, to compare with."""


def due_after(step: int, last_step: int, config: RunConfig) -> list[str]:
    """Return what is due once `step` steps are done, in order; at the end of the run everything is."""

    def is_due(every: int) -> bool:
        return every > 0 and (step == last_step or step % every == 0)

    due = {
        "validation": is_due(config.validation.every),
        "checkpoint": step == last_step or is_due(config.save.every),
        "preview": is_due(config.preview.every),
    }
    return [what for what, now in due.items() if now]
