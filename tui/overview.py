"""What Home shows: projects and runs as they stand, and what comes next for each."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.errors import AppError
from trainer.project import Project, find_projects, projects_root
from trainer.run.folder import RunFolder, find_runs
from trainer.run.lock import is_held
from trainer.run.series import Series
from trainer.run.status import Glance, Status, glance
from trainer.text import printable
from tui.words import age_text, counted, loss_text, status_word

NEEDY = frozenset({Status.NEEDS_YOU, Status.LOST, Status.FAILED, Status.OUT_OF_MEMORY, Status.STALLED})
MOST_EARLIER = 20
"""Earlier runs listed; `hypernet runs --all` has the rest."""
SETTLED_S = 3.0
"""A folder that changed this recently may change again without a new time of change, which some disks keep to 2 s."""


@dataclass(frozen=True)
class Counts:
    """How many files a project has."""

    sources: int
    crops: int
    captioned: int


@dataclass(frozen=True)
class ProjectLook:
    """One project as it stands."""

    root: Path
    name: str
    """Harmless to show."""
    state: str
    """new, cropped, captioned, trained, stopped, needs you, or the standing of its live run."""
    facts: str
    next: str
    """What to do next, in a few words."""
    command: str
    """The command line that does it; empty where Enter or a key does."""
    newest: RunFolder | None
    can_train: bool


@dataclass(frozen=True)
class Overview:
    """All projects and runs, at one moment."""

    root: Path
    live: tuple[Glance, ...] = ()
    projects: tuple[ProjectLook, ...] = ()
    earlier: tuple[Glance, ...] = ()
    num_older: int = 0
    """Earlier runs beyond those listed."""


class Surveyor:
    """Looks at everything again and again, and remembers runs that have ended.

    Args:
        clock: Gives UTC seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ended: dict[Path, tuple[float, Glance]] = {}
        self._counts: dict[Path, tuple[tuple[float, ...], Counts]] = {}

    def survey(self) -> Overview:
        """Look at all projects below the projects' folder, and at their runs."""
        found = find_projects()
        runs = {project.root: [self._look(run) for run in find_runs(project.root)] for project in found}
        looks = sorted((look for of in runs.values() for look in of), key=_newest_first, reverse=True)
        live = tuple(look for look in looks if look.status.is_live)
        earlier = [look for look in looks if not look.status.is_live]
        return Overview(
            projects_root(),
            live,
            tuple(look_at(project, runs[project.root], self._clock(), self._count) for project in found),
            tuple(earlier[:MOST_EARLIER]),
            max(0, len(earlier) - MOST_EARLIER),
        )

    def _count(self, project: Project) -> Counts:
        """Count a project's files, if its folders changed since."""
        changed = tuple(_changed_at(folder) for folder in (project.pictures, project.processed))
        known = self._counts.get(project.root)
        if known is not None and known[0] == changed:
            return known[1]
        counts = count_files(project)
        if max(changed) < time.time() - SETTLED_S:
            self._counts[project.root] = changed, counts
        return counts

    def _look(self, run: RunFolder) -> Glance:
        changed = _changed_at(run.events_file)
        known = self._ended.get(run.path)
        if known is not None and known[0] == changed and not is_held(run):
            return known[1]
        look = glance(run)
        if look.status.is_live:
            self._ended.pop(run.path, None)
        else:
            # A list needs the figures at the end, not all points of all runs.
            state = replace(look.state, points=Series(look.state.points[-1:]), log=Series())
            look = replace(look, state=state)
            self._ended[run.path] = changed, look
        return look


def look_at(
    project: Project, runs: Sequence[Glance], now: float, count: Callable[[Project], Counts] | None = None
) -> ProjectLook:
    """Judge one project.

    Args:
        project: The project.
        runs: Its runs, the newest first.
        now: UTC seconds.
        count: Counts its files; `count_files` when left out.
    """
    name = printable(project.name, 60)
    newest = runs[0].folder if runs else None
    try:
        counts = (count or count_files)(project)
    except AppError as error:
        trouble = printable(error, 200)
        return ProjectLook(project.root, name, "needs you", trouble, "mend its project.toml", "", newest, False)
    can_train = counts.crops > 0 and counts.captioned == counts.crops
    state, facts, next_, command = _standing(project, counts, runs, now)
    return ProjectLook(project.root, name, state, facts, next_, command, newest, can_train)


def count_files(project: Project) -> Counts:
    """Count a project's source pictures, crops and crops with a caption.

    Raises:
        AppError: its settings are unusable.
    """
    from trainer.captions.files import caption_path
    from trainer.pictures.look import picture_files

    crops = picture_files(project.processed) if project.processed.is_dir() else []
    sources = 0 if crops or not project.pictures.is_dir() else len(picture_files(project.pictures))
    return Counts(sources, len(crops), sum(caption_path(crop).is_file() for crop in crops))


def _standing(project: Project, counts: Counts, runs: Sequence[Glance], now: float) -> tuple[str, str, str, str]:
    """Return state, facts, what is next and the command line for it."""
    needy = next((look for look in runs[:1] if look.status in NEEDY), None)
    if needy is not None:
        return "needs you", _trouble(needy), "Enter shows what happened", ""
    live = next((look for look in runs if look.status.is_live), None)
    if live is not None:
        return status_word(live.status), f"run {printable(live.folder.name, 40)}", "Enter attaches to it", ""
    finished = next((look for look in runs if look.status is Status.FINISHED), None)
    if runs and runs[0].status is Status.STOPPED:
        return "stopped", f"at step {runs[0].state.step:,}", "Enter opens it; r there goes on", ""
    if finished is not None:
        age = age_text(max(0.0, now - (finished.state.last_t or now)))
        return "trained", f"step {finished.state.step:,}, {age}", "Enter opens the newest run", ""
    return _preparing(shlex.quote(project.name), counts)


def _preparing(name: str, counts: Counts) -> tuple[str, str, str, str]:
    pictures = counted(counts.crops or counts.sources, "picture")
    if not counts.crops:
        if not counts.sources:
            return "new", "no pictures yet", "put pictures into its folder", ""
        return "new", pictures, "crop the pictures", printable(f"hypernet crop {name}")
    if counts.captioned < counts.crops:
        captions = counted(counts.captioned, "caption")
        return "cropped", f"{pictures}, {captions}", "caption them", printable(f"hypernet caption {name}")
    return "captioned", pictures, "t trains it", ""


def _trouble(look: Glance) -> str:
    state = look.state
    if look.status is Status.NEEDS_YOU and state.question is not None:
        return printable(state.question.text, 120)
    if look.status is Status.LOST:
        return f"its worker is gone, at step {state.step:,}"
    return f"{status_word(look.status)} at step {state.step:,}"


def run_facts(look: Glance) -> str:
    """Return what an ended run came to: "step 2,000, loss 0.104"."""
    return f"step {look.state.step:,}, loss {loss_text(look.state.smoothed_loss)}"


def _newest_first(look: Glance) -> tuple[str, float]:
    return look.folder.day, look.state.last_t or 0.0


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # who looks into it says what is wrong
        return 0.0
