"""Which rung a run takes, and which comes next when memory runs out all the same. Pure, but for `fitted`."""

from trainer.config import RunConfig
from trainer.memory.plan import Plan, RungPlan, make_plan
from trainer.memory.ways import with_way
from trainer.project import Project
from trainer.text import size_text


def choose_rung(plan: Plan) -> tuple[RungPlan | None, str]:
    """Return the rung that a run takes, and why: what is set, or the least costly one that fits.

    What is set is kept if it fits, if that cannot be told, if it is pinned, or if nothing fits: a prediction can
    be wrong. Smaller pictures are taken only where the settings allow them.

    Returns:
        (None, why) for a model that the table doesn't cover.
    """
    own = plan.own
    if own is None:
        return None, "this model's size is not in the table"
    word = plan.target.memory_word
    if own.fits is None:
        return own, f"what is set; free {word} is unknown"
    if own.fits:
        return own, "what is set fits"
    free = f"{size_text(plan.target.free_bytes or 0)} is {'allowed' if plan.target.limited else 'free'}"
    short = f"what is set needs {size_text(own.rung.parts.total)} and {free}"
    if plan.config.memory.rung == "pinned":
        return own, f"{short}, but memory.rung is pinned"
    if plan.target.shares_ram:
        return own, f"{short}, but RAM can be swapped, so it is tried"
    allowed = [each for each in plan.rungs if plan.config.memory.smaller_pictures or not each.rung.smaller]
    fitting = next((each for each in allowed if each.fits), None)
    if fitting is not None:
        return fitting, f"{short}; this is the least costly rung that fits"
    return own, f"{short}, and nothing below it is predicted to fit, so it is tried"


def apply_rung(config: RunConfig, rung: RungPlan) -> RunConfig:
    """Return the settings changed to a rung's."""
    return with_way(config, rung.rung.way)


def rungs_below(plan: Plan, *, smaller_pictures: bool | None = None) -> list[RungPlan]:
    """Return the rungs to go on with when what is set ran out of memory, the one to prefer first.

    Those that are predicted to fit, or of which nothing is known, come before those that are not; an effective
    batch never changes.

    Args:
        plan: Of the settings that ran out.
        smaller_pictures: Whether to list rungs with smaller pictures; None as the settings allow.
    """
    wanted = plan.config.memory.smaller_pictures if smaller_pictures is None else smaller_pictures
    listed = [each for each in plan.below if wanted or not each.rung.smaller]
    return sorted(listed, key=lambda each: each.fits is False)


def fitted(project: Project, config: RunConfig) -> tuple[RunConfig, str]:
    """Return the settings that a run of a project begins with, and a sentence where they are not those given."""
    plan = make_plan(project, config)
    rung, why = choose_rung(plan)
    if rung is None or rung.rung.as_set:
        return config, ""
    return apply_rung(config, rung), f"Memory: {rung.rung.name} is used ({', '.join(rung.settings)}), since {why}."
