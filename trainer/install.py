"""Put a hypernetwork where a drawing program finds it, under a name that its prompts can say."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trainer.errors import AppError
from trainer.files import sha256_of
from trainer.hypernetwork.find import find_hypernetworks
from trainer.hypernetwork.names import check_name
from trainer.programs import Program, users_of
from trainer.run.folder import RunFolder
from trainer.text import printable


@dataclass(frozen=True)
class Installed:
    """What was done."""

    path: Path
    tag: str
    """For a prompt."""
    was_there: bool
    """The same file lay there already."""
    notes: tuple[str, ...]
    """Who uses the file, who does not, and what to know."""


def install(
    source: Path, program: Program, name: str = "", *, overwrite: bool = False, keep_dropout: bool = False
) -> Installed:
    """Write a hypernetwork into a program's folder.

    Its name inside is the file's, as A1111 confuses files of one inner name. Dropout is left out, which changes no
    picture in A1111 but keeps ComfyUI from drawing with it.

    Args:
        source: Any A1111 layout.
        program: From `program_at` or `find_programs`.
        name: What the tag says; the source's file name when empty.
        overwrite: Replace another file of this name.
        keep_dropout: Keep it, for training on in A1111.

    Raises:
        AppError: the name cannot be used or is taken, the source is no hypernetwork, or the program ignores them.
    """
    from trainer.hypernetwork.files import load, save

    name = check_name(name or source.stem)
    if program.kind == "Forge":
        why = f"{printable(program.root)} is Forge, which reads the tag but applies no hypernetwork."
        raise AppError("No effect there", why, "Export it as a LoRA (`hypernet export FILE --to lora --model BASE`).")
    net = load(source)
    net.name = name
    folder = program.hypernetworks
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.pt"
    with TemporaryDirectory(prefix="hypernet-") as place:
        made = Path(place) / target.name
        save(net, made, portable=not keep_dropout)
        was_there = target.is_file() and sha256_of(target) == sha256_of(made)
        if not was_there:
            _refuse_taken(target, overwrite)
            save(net, target, portable=not keep_dropout)
    notes = [*net.warnings, *users_of(net.structure), *_neighbours(target, was_there)]
    return Installed(target, f"<hypernet:{name}:1>", was_there, tuple(notes))


def _refuse_taken(target: Path, overwrite: bool) -> None:
    namesakes = [target] if target.exists() else []
    # A1111 finds files by their names alone, in whatever folder below.
    namesakes += [path for stem, path in find_hypernetworks([target.parent]).items() if stem == target.stem]
    foreign = [path for path in namesakes if path != target]
    if foreign:
        why = f"{printable(foreign[0])} has the same name, and A1111 may take either."
        raise AppError("Name taken", why, "Take another one (--name).")
    if namesakes and not overwrite:
        why = f"{printable(target)} is another hypernetwork."
        raise AppError("Name taken", why, "Take another one (--name), or replace it (--overwrite).")


def _neighbours(target: Path, was_there: bool) -> list[str]:
    optimizer = target.with_name(f"{target.name}.optim")
    if was_there or not optimizer.exists():
        return []
    return [f"{printable(optimizer.name)} beside it belongs to the file that was there before; A1111 ignores it."]


def source_of(run: RunFolder, step: int | None = None) -> Path:
    """Return a run's file to use: the checkpoint of a step, else the best by validation, else the newest.

    Raises:
        AppError: there is none.
    """
    from trainer.grids import checkpoints_of

    found = dict(checkpoints_of(run))
    if not found:
        why = f"{printable(run.hypernetworks)} holds none."
        raise AppError("No checkpoints", why, "`hypernet save RUN` makes a running one save.")
    if step is None:
        return found[best_checkpoint(run, list(found))]
    if step not in found:
        known = ", ".join(map(str, list(found)[-20:]))
        raise AppError("No such checkpoint", f"{printable(run.title)} has none of step {step}.", f"It has {known}.")
    return found[step]


def best_checkpoint(run: RunFolder, steps: list[int]) -> int:
    """Return which of a run's saved steps is best: the nearest to the verdict's best, else the last."""
    from trainer.run.events import read_events
    from trainer.run.state import replay
    from trainer.verdict import judge_training

    best = judge_training(replay(read_events(run.events_file))).best_step
    return steps[-1] if best is None else min(steps, key=lambda step: (abs(step - best), -step))
