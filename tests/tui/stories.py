"""Projects and runs written as the trainer writes them, without training."""

import math
import random
import time
from datetime import date
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from trainer.project import Project, create_project
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.lock import process_identity

DAY = date(2026, 11, 23)
HOSTILE = "[bold]x[/] [/] \x1b[31m\x07 \u202e\n😀" + "long " * 60


class Clock:
    """Time that passes only when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_project(root: Path, name: str, *, sources: int = 0, crops: int = 0, captions: int = 0) -> Project:
    """Make a project with so many source pictures, crops and captions."""
    pictures = root.parent / f"{root.name}-pictures" / name
    pictures.mkdir(parents=True)
    for number in range(sources):
        _picture(pictures / f"{number}.png", number)
    project = create_project(name, pictures, "model.safetensors", root=root)
    project.processed.mkdir()
    for number in range(crops):
        crop = project.processed / f"{number:05}-0-x.png"
        _picture(crop, number)
        if number < captions:
            crop.with_suffix(".txt").write_text("a picture")
    return project


def _picture(path: Path, seed: int, size: int = 64, parameters: str = "") -> None:
    shades = Image.linear_gradient("L").resize((size, size)), Image.radial_gradient("L").resize((size, size))
    made = Image.merge("RGB", (shades[0], shades[1], Image.new("L", (size, size), seed * 40 % 256)))
    info = PngInfo()
    if parameters:
        info.add_text("parameters", parameters)
    made.save(path, pnginfo=info)


class Story:
    """A run whose events are written one by one.

    Args:
        project_root: The project's folder.
        total: Steps of the run.
        name: Of the run.
        started_s: When it began, in UTC seconds; an hour ago when left out.
    """

    def __init__(self, project_root: Path, total: int = 2000, name: str = "", started_s: float | None = None) -> None:
        self.folder = RunFolder.create(project_root / "output", name or project_root.name, DAY)
        self.folder.config_file.write_text(
            f'name = "x"\n[training]\nsteps = {total}\n[optimizer]\nlearning_rate = "1e-5"\n'
            '[preview]\nprompt = "a portrait of gollum"\n'
        )
        self.clock = Clock(time.time() - 3600 if started_s is None else started_s)
        self.events = EventWriter(self.folder.events_file, self.clock)
        self.total, self.step, self._random = total, 0, random.Random(4)
        self.tell("started", **process_identity(), steps=total, resumed_at_step=0, device="cuda:0")
        self.tell("phase", name="training", done=0, total=total)

    def tell(self, kind: str, **payload: object) -> None:
        """Write any event."""
        self.events.emit(kind, **payload)

    def train(self, steps: int, seconds: float = 0.42) -> "Story":
        """Write steps whose loss falls."""
        for _ in range(steps):
            self.step += 1
            self.clock.now += seconds
            loss = 0.1 + 0.09 * math.exp(-self.step / 400) + 0.02 * self._random.random()
            self.tell("step", step=self.step, loss=loss, learning_rate=6.1e-6, grad_norm=1.0, seconds=seconds)
        return self

    def validate(self, held_out: float) -> "Story":
        """Write a validation."""
        self.tell("validated", step=self.step, held_out=held_out, training=held_out - 0.01, best=True)
        return self

    def preview(self) -> "Story":
        """Draw a preview."""
        path = self.folder.images / f"{self.folder.name}-{self.step}.png"
        _picture(path, self.step, 256, "a portrait\nSteps: 20, Seed: 42, Size: 256x256")
        self.tell("preview", step=self.step, path=str(path), seconds=2.1)
        return self

    def save(self) -> "Story":
        """Write that a checkpoint was saved."""
        self.tell("saved", step=self.step, path=f"hypernetworks/{self.folder.name}-{self.step}.pt")
        return self

    def ask(self, question_id: str = "q1", deadline_s: float | None = 60.0, **over: object) -> "Story":
        """Ask what to do about memory that ran out, as the supervisor does."""
        rungs = (("checkpointing", 4.1, 0.55, "same result"), ("lowvram", 1.9, 2.4, "same result"),
                 ("256 px", 2.6, 0.2, "coarser pictures"))  # fmt: skip
        options: list[dict[str, object]] = [
            {"id": id_, "title": id_, "peak_bytes": int(peak * 2**30), "fits": True, "step_s": step_s, "price": price,
             "settings": []}
            for id_, peak, step_s, price in rungs
        ]  # fmt: skip
        options += [
            {"id": "wait", "title": "wait until memory is free", "price": "same result"},
            {"id": "stop", "title": "stop here; resume later"},
        ]
        asked: dict[str, object] = {
            "about": "memory", "step": self.step, "text": "The step needed 8.9 GiB; 7.2 of 8.0 GiB were free.",
            "lost": "nothing was lost", "choices": [option["id"] for option in options], "default": "checkpointing",
            "deadline_t": None if deadline_s is None else time.time() + deadline_s, "options": options,
            "details": {"asked_bytes": 9 << 30, "free_bytes": 7 << 30, "total_bytes": 8 << 30,
                        "holders": [{"pid": 41213, "name": "python", "bytes": 600 << 20}]},
        }  # fmt: skip
        self.tell("question", id=question_id, **{**asked, **over})
        return self.until_now()

    def until_now(self) -> "Story":
        """Let the next events happen now."""
        self.clock.now = time.time()
        self.tell("heartbeat")
        return self


def long_story(project_root: Path, steps: int = 1240) -> Story:
    """A run that goes well, with validations, previews and checkpoints every hundred steps."""
    story = Story(project_root, started_s=time.time() - steps * 0.44)
    while story.step < steps:
        story.train(min(100, steps - story.step))
        if story.step % 100 == 0:
            story.validate(0.105 + 0.08 * math.exp(-story.step / 300) + 0.00001 * story.step).save().preview()
    return story.until_now()
