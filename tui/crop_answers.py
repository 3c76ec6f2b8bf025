"""What the Crop screen asks for, read from a project and written to it; both belong into a thread."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from trainer.pictures.check import CheckReport, recorded_report
from trainer.pictures.choices import Choices, read_choices, write_choices
from trainer.pictures.faces import NO_FACE, faces_available
from trainer.pictures.geometry import Frame
from trainer.pictures.look import picture_files
from trainer.pictures.manifest import read_manifest
from trainer.pictures.options import CropOptions, Mode
from tui.crop_text import BY_HAND, MODES, Verdict, settings_text, verdicts_of

if TYPE_CHECKING:
    from trainer.project import Project

NO_FACES = "Finding faces needs OpenCV: pip install 'hypernet-wizard[faces]'."


@dataclass(frozen=True)
class Answers:
    """How pictures are cropped: all of them, and single ones."""

    options: CropOptions
    choices: Choices

    def options_of(self, name: str) -> CropOptions:
        """Return how one picture is cropped."""
        mode = self.choices.modes.get(name)
        return self.options if mode is None else replace(self.options, mode=mode)

    def frame_of(self, name: str) -> Frame | None:
        """Return the frame that the user put on a picture by hand."""
        return self.choices.frames.get(name)

    def mode_word(self, name: str) -> str:
        """Return how a picture is framed, in a word or two."""
        return BY_HAND if name in self.choices.frames else MODES[self.options_of(name).mode]

    @property
    def text(self) -> str:
        """How all pictures are cropped, in a few words."""
        return settings_text(self.options)

    def with_mode(self, name: str, mode: Mode | None) -> "Answers":
        """Return the answers with one picture framed by a mode; None takes that of all pictures."""
        if mode is None or mode == self.options.mode:
            return replace(self, choices=self.choices.with_frame(name, None))
        return replace(self, choices=self.choices.with_mode(name, mode))

    def with_frame(self, name: str, frame: Frame) -> "Answers":
        """Return the answers with a frame put on one picture."""
        return replace(self, choices=self.choices.with_frame(name, frame))

    def with_mode_for_all(self, mode: Mode) -> "Answers":
        """Return the answers with all pictures framed by a mode, those excepted that have a frame made by hand."""
        return Answers(replace(self.options, mode=mode), replace(self.choices, modes={}))

    def with_form(self, values: Mapping[str, str]) -> "Answers":
        """Return the answers with what the form of options says."""
        options = replace(
            self.options,
            size=int(values["size"]),
            mode=cast(Mode, values["mode"]),
            keep_aspect=values["shape"] == "own",
            flip=values["flip"] == "yes",
        )
        return replace(self, options=options)


@dataclass(frozen=True)
class Survey:
    """What is known of a project's source pictures."""

    paths: tuple[Path, ...]
    answers: Answers
    report: CheckReport | None
    """None where the pictures must be looked at first."""
    verdicts: Mapping[str, Verdict]
    """By file name; of the report."""
    has_faces: bool
    faceless: frozenset[str]
    """Names of pictures in which cropping looked for faces and found none."""


def survey(project: "Project") -> Survey:
    """Read what was answered before, and the verdicts where they are on record.

    Raises:
        AppError: the folder or what was chosen can't be read.
    """
    from trainer.jobs.crop import crop_options

    paths = tuple(picture_files(project.pictures))
    answers = Answers(crop_options(project), read_choices(project.root))
    report = read_report(project, answers.options) if paths else None
    entries = read_manifest(project.processed).entries.values()
    faceless = frozenset(entry.source for entry in entries if NO_FACE in entry.notes)
    return Survey(paths, answers, report, verdicts_of(report), faces_available(), faceless)


def read_report(project: "Project", options: CropOptions, *, even_outdated: bool = False) -> CheckReport | None:
    """Return the verdicts on record, judged by the present options; None where there aren't any for all pictures.

    Raises:
        AppError: the folder can't be read.
    """
    from trainer.jobs.check import record_of

    return recorded_report(project.pictures, options, record_of(project), even_outdated=even_outdated)


def write_answers(project: "Project", answers: Answers) -> "Project":
    """Write what changed and return the project.

    Raises:
        AppError: a value is out of bounds, or a file can't be written.
    """
    if read_choices(project.root) != answers.choices:
        write_choices(project.root, answers.choices)
    options, data, crop = answers.options, project.settings().data, project.config.crop
    if (options.size, options.keeps_shape) != (data.size, data.keep_aspect):
        project = project.update(settings={"data": {"size": options.size, "keep_aspect": options.keeps_shape}})
    if (options.mode, options.flip) != (crop.mode, crop.flip):
        project = project.update(crop={"mode": options.mode, "flip": options.flip})
    return project
