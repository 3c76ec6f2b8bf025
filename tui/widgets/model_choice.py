"""Choosing a base model: a list of those found on this machine, and a field for any other."""

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.worker import get_current_worker

from tui.models import ModelLook, found_models, hash_of, judged, model_lines
from tui.paths import short_path, typed_path
from tui.screens.base import WizardScreen
from tui.widgets.fields import FieldChanged, FieldRow
from tui.widgets.line import Line
from tui.widgets.list_field import ListField
from tui.widgets.path_field import PathField
from tui.widgets.rows import Row

MODEL_SUFFIXES = (".safetensors", ".ckpt")


class ModelChoice(Vertical):
    """Lists models, those that can be trained on first, and takes a typed one instead where something is typed."""

    class _Found(Message):
        """More is known of the models."""

        def can_replace(self, message: Message) -> bool:
            """Let a later message stand for this one."""
            return isinstance(message, ModelChoice._Found)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._looks: dict[str, ModelLook] = {}
        self._searched = False

    def compose(self) -> ComposeResult:
        """Lay out list, consequence and field."""
        yield Static(Content("Base model"), classes="label")
        yield ListField("The model that the hypernetwork is made for; newest first. Enter takes it.", id="models")
        yield Line(id="models-say", keeps_place=True)
        help_text = "A .safetensors or .ckpt file, a diffusers folder, or OWNER/NAME on the Hugging Face Hub."
        field = PathField(
            help_text, _problem, suffixes=MODEL_SUFFIXES, id="model", placeholder="file, folder or OWNER/NAME"
        )
        yield FieldRow("or type", field)

    @property
    def field(self) -> PathField:
        """Where a model is typed."""
        return self.query_one("#model", PathField)

    @property
    def list(self) -> ListField:
        """Those found."""
        return self.query_one("#models", ListField)

    @property
    def text(self) -> str:
        """The model meant: what is typed, else the path of the chosen row; empty where there is none."""
        return self.field.meant.strip() or self.list.chosen or ""

    @property
    def has_focus_within(self) -> bool:
        """Whether list or field has the focus."""
        return self.screen.focused in (self.list, self.field)

    def _in_background(self, *arguments: object) -> None:
        assert isinstance(self.screen, WizardScreen)
        self.screen.in_background(*arguments)  # type: ignore[arg-type]

    def _is_busy(self, group: str) -> bool:
        return isinstance(self.screen, WizardScreen) and self.screen.is_busy(group)

    def search(self, first: Path | None) -> None:
        """Look for models, the one in use first."""
        if self._is_busy("models"):
            return

        def work() -> None:
            worker = get_current_worker()
            for model in found_models([first] if first else []):
                if worker.is_cancelled:
                    return
                self._looks[str(model.path)] = judged(model.path)
                self.post_message(self._Found())
            self._searched = True
            self.post_message(self._Found())

        self._in_background(work, "looking for base models", "models")
        self._draw()

    @on(_Found)
    def _draw(self) -> None:
        looks, rows = sorted(self._looks.values(), key=lambda look: bool(look.problem)), self.list
        lines = model_lines(looks, rows.row_width)
        rows.show_rows([Row(str(look.path), line) for look, line in zip(looks, lines, strict=True)])
        rows.display = bool(looks)
        if looks and not rows.is_moved:
            rows.highlighted = 0
        if self._searched and not looks and rows.has_focus:
            self.field.focus()
        self._say()

    @on(OptionList.OptionHighlighted)
    def _say(self) -> None:
        self.query_one("#models-say", Line).say(self._consequence())
        self._hash_chosen()

    @on(FieldChanged)
    def _say_at_key(self) -> None:
        self._say()

    def on_resize(self) -> None:
        """Fit the rows."""
        self._draw()

    def _consequence(self) -> str:
        if self.field.value.strip():
            return "What is typed below is taken instead."
        look = self._looks.get(self.list.chosen or "")
        if look is not None:
            return look.problem or short_path(look.path)
        return "None found on this machine: type one below." if self._searched else "Looking for models…"

    def _hash_chosen(self) -> None:
        """Compute the hash of the chosen file only: each takes seconds of reading."""
        look = self._looks.get(self.list.chosen or "")
        if look is None or look.short_hash or look.problem or look.path.is_dir() or self._is_busy("hash"):
            return

        def compute() -> None:
            worker = get_current_worker()
            known = hash_of(look.path, lambda: not worker.is_cancelled)
            self._looks[str(look.path)] = look.with_hash(known or "n/a")
            self.post_message(self._Found())

        self._in_background(compute, "computing a model's hash", "hash")


def _problem(text: str) -> str:
    from trainer.base_model.hub import looks_like_repo_id

    text = text.strip()
    if not text or typed_path(text).exists() or looks_like_repo_id(text):
        return ""
    return "There is no such file or folder here. Type a path that exists, or OWNER/NAME on the Hub."
