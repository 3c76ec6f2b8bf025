"""Trying prompts from the wizard: one process that holds the model, asked again and again. Methods may block."""

from dataclasses import dataclass, replace
from pathlib import Path

from trainer.run.events import EventReader
from trainer.run.folder import RunFolder
from trainer.run.status import read_status
from trainer.studio import answer_of, ask, close_studio, open_studio
from trainer.text import printable, without_options


@dataclass(frozen=True)
class Try:
    """What was asked for last, and what has come of it."""

    prompt: str = ""
    step: int = 0
    strength: float = 1.0
    is_waiting: bool = False
    doing: str = ""
    """What the process does meanwhile."""
    picture: Path | None = None
    message: str = ""
    """Why there is no picture."""


class Tryout:
    """Asks for pictures of a run's checkpoints. `view` may be taken by any thread at any time.

    Args:
        run: The run.
        seed: Of all pictures, so that they can be compared.
    """

    def __init__(self, run: RunFolder, seed: int) -> None:
        self.view = Try()
        self._run, self._seed = run, seed
        self._studio: RunFolder | None = None
        self._reader: EventReader | None = None
        self._asked = ""

    def ask(self, prompt: str, step: int, checkpoint: Path, strength: float) -> None:
        """Ask for a picture; whatever isn't drawn yet is given up for it.

        Raises:
            AppError: the process can't be started.
        """
        self.view = Try(prompt, step, strength, True, "starting", self.view.picture)
        if self._studio is None or not read_status(self._studio).is_live:
            self._studio = open_studio(self._run.project_root, self._run)
            self._reader = EventReader(self._studio.events_file)
        self._asked = ask(
            self._studio, prompt=prompt, hypernetworks=[str(checkpoint)], strength=strength, seed=self._seed
        )

    def look(self) -> None:
        """Read what the process told since the last look."""
        if self._reader is None or self._studio is None:
            return
        for event in self._reader.new():
            answer = answer_of(event)
            if event["kind"] == "phase":
                self.view = replace(self.view, doing=printable(event.get("name", ""), 60))
            elif event["kind"] == "ready":
                self.view = replace(self.view, doing="drawing")
            elif event["kind"] == "failed":
                text = f"{event.get('message') or event.get('error')} {event.get('hint') or ''}"
                self.view = replace(self.view, is_waiting=False, message=printable(without_options(text), 300))
            elif answer is not None and answer.id == self._asked:
                self.view = replace(self.view, is_waiting=False, picture=answer.path, message=answer.message)
        if self.view.is_waiting and self._asked and not read_status(self._studio).is_live:
            self.view = replace(self.view, is_waiting=False, message="The drawing process is gone; try again.")

    def close(self) -> None:
        """Let the process leave, which frees the model's memory."""
        if self._studio is not None and read_status(self._studio).is_live:
            close_studio(self._studio)


def try_text(view: Try) -> str:
    """Return the two lines under the picture that was tried."""
    first = f"tried: step {view.step:,} at strength {view.strength:g}"
    if view.is_waiting:
        return f"{first}\n{view.doing or 'drawing'}…"
    return f"{first}\n{view.message or printable(view.prompt, 200)}"
