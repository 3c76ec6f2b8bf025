"""What is due at which step beside training: a validation, a checkpoint, a preview."""

from collections.abc import Mapping

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


def expected(took: Mapping[str, float], step: int, config: RunConfig) -> dict[str, float]:
    """Return what validations and previews will add to the time to go, until they have come again.

    Args:
        took: Seconds of those that were done before the first step.
        step: Steps done.
        config: Says how often they come.

    Returns:
        `beside_s`, seconds for each step, and `beside_until`, the step by which each has come; nothing without any.
    """
    every = {"validation": config.validation.every, "preview": config.preview.every}
    coming = {what: every[what] for what in took if every.get(what)}
    if not coming:
        return {}
    return {
        "beside_s": sum(took[what] / often for what, often in coming.items()),
        "beside_until": step + max(coming.values()),
    }
