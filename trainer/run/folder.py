"""Run folders: `PROJECT/output/DATE/NAME`, made private, found again by name."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from trainer.errors import AppError
from trainer.text import nearest, printable

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOST_RUNS_A_DAY = 10_000


@dataclass(frozen=True)
class RunFolder:
    """The names of everything in one run's folder."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The configuration as the run was started: enough to repeat it."""
        return self.path / "run.toml"

    @property
    def events_file(self) -> Path:
        """The append-only log, the one truth about the run."""
        return self.path / "events.jsonl"

    @property
    def lock_file(self) -> Path:
        """Held by the worker for its whole life; names it."""
        return self.path / "run.lock"

    @property
    def control(self) -> Path:
        """Commands to the worker, one file each."""
        return self.path / "control"

    @property
    def state(self) -> Path:
        """Resume states."""
        return self.path / "state"

    @property
    def hypernetworks(self) -> Path:
        """Checkpoints."""
        return self.path / "hypernetworks"

    @property
    def images(self) -> Path:
        """Previews."""
        return self.path / "images"

    @property
    def loss_csv(self) -> Path:
        """A1111's table of losses."""
        return self.path / "hypernetwork_loss.csv"

    @property
    def worker_log(self) -> Path:
        """What the worker and its libraries print, tracebacks included."""
        return self.path / "worker.log"

    @property
    def name(self) -> str:
        """The run's name, e.g. "gollum-2"."""
        return self.path.name

    @property
    def day(self) -> str:
        """The day the run was made, e.g. "2026-11-23"."""
        return self.path.parent.name

    @property
    def project_root(self) -> Path:
        """The folder of the project that the run belongs to."""
        return self.path.parents[2]

    @property
    def title(self) -> str:
        """Project, day and name, e.g. "gollum/2026-11-23/gollum-2": enough to find the run again."""
        return f"{self.project_root.name}/{self.day}/{self.name}"

    @property
    def argument(self) -> str:
        """The run as one would type it behind a command here: its path, as short as it can be."""
        path = self.path.absolute()
        here = Path.cwd()
        return shlex.quote(printable(path.relative_to(here) if path.is_relative_to(here) else path))

    @staticmethod
    def create(output_root: Path, name: str, day: date) -> "RunFolder":
        """Make the folder of a new run; a second one of the same name and day becomes NAME-2.

        Every folder made is for its owner alone (0700).

        Raises:
            AppError: the name cannot be a folder's name, or the folder cannot be made.
        """
        _check_name(name)
        parent = output_root / day.isoformat()
        try:
            for folder in (*reversed(output_root.parents), output_root, parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            run = RunFolder(_first_free(parent, name))
            for folder in (run.control, run.state, run.hypernetworks, run.images):
                folder.mkdir(mode=0o700)
        except OSError as error:
            raise AppError(
                "Cannot make the run's folder",
                f"{printable(parent)}: {error.strerror}.",
                "Free some space there, or choose a project folder you may write to.",
            ) from None
        return run


def _check_name(name: str) -> None:
    printable_name = printable(name, 100)
    if not name or "/" in name or name.startswith(".") or printable_name != name or len(name.encode()) > 200:
        raise AppError(
            "Unusable name",
            f"{printable_name!r} cannot be the name of a run's folder.",
            "Use letters, digits, spaces, - and _, at most 100, not beginning with a dot.",
        )


def _first_free(parent: Path, name: str) -> Path:
    for number in range(1, _MOST_RUNS_A_DAY):
        path = parent / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            return path
    raise OSError(17, f"all names up to {name}-{_MOST_RUNS_A_DAY - 1} are taken")


def is_run(path: Path) -> bool:
    """Tell whether a folder is a run's."""
    try:
        return any((path / name).is_file() for name in ("run.toml", "events.jsonl"))
    except OSError:  # a name that is too long, or a folder that we may not look into
        return False


def find_runs(project_root: Path) -> list[RunFolder]:
    """Return the runs of a project, the newest first; none when there is no such folder."""
    runs = list(_runs_below(project_root / "output"))
    return sorted(runs, key=_age_order, reverse=True)


def _runs_below(output_root: Path) -> Iterator[RunFolder]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for day in output_root.iterdir():
            if _DATE.fullmatch(day.name) and day.is_dir():
                yield from (RunFolder(path) for path in day.iterdir() if is_run(path))


def _age_order(run: RunFolder) -> tuple[str, float, str]:
    made = run.config_file if run.config_file.exists() else run.events_file
    return run.day, made.stat().st_mtime, run.name


def resolve_run(text: str, projects_root: Path) -> RunFolder:
    """Find a run by its path or by the end of PROJECT/DATE/NAME.

    "gollum" is the newest run of that name; DATE/gollum one of a certain day; PROJECT alone its newest run.

    Raises:
        AppError: there is no such run, or several projects have one.
    """
    if is_run(Path(text)):
        return RunFolder(Path(text).resolve())
    runs = [run for project in _folders(projects_root) for run in find_runs(project)]
    wanted = text.strip("/")
    for matches in (_matching(runs, wanted), [run for run in runs if run.project_root.name == wanted]):
        if len({run.project_root for run in matches}) > 1:
            titles = ", ".join(printable(run.title, 120) for run in matches[:5])
            raise AppError("Several runs", f"{printable(text)} may be {titles}.", "Name the one you mean like that.")
        if matches:
            return matches[0]
    names = [run.name for run in runs] + [run.title for run in runs]
    raise AppError(
        "No such run",
        f"{printable(text)} is no run below {printable(projects_root)}.",
        nearest(text, names).strip() or "`hypernet runs` lists them.",
    )


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path.resolve() for path in root.iterdir() if path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _matching(runs: list[RunFolder], wanted: str) -> list[RunFolder]:
    def names(run: RunFolder) -> tuple[str, ...]:
        return run.name, f"{run.day}/{run.name}", f"{run.project_root.name}/{run.name}", run.title

    return [run for run in runs if wanted in names(run)]
