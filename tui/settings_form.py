"""The settings of a run as fields of a form, made from the models that define them; no widget in sight."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from trainer.config import RunConfig
from trainer.config.model import OTHER_ACTIVATIONS, PORTABLE_ACTIVATIONS
from trainer.config.read import bounds_text, fields_of, value_text
from trainer.text import printable

BASIC = (
    "name", "training.steps", "optimizer.learning_rate", "optimizer.schedule", "training.batch_size", "data.size",
    "network.layer_structure", "network.activation", "save.every", "preview.every", "data.template", "preview.prompt",
)  # fmt: skip
"""Always shown, in this order; all others are folded away by their sections."""

LABELS = {
    "name": "Name", "training.steps": "Steps", "optimizer.learning_rate": "Rate", "optimizer.schedule": "Schedule",
    "training.batch_size": "Batch", "data.size": "Size", "network.layer_structure": "Layers",
    "network.activation": "Activation", "save.every": "Save every", "preview.every": "Preview every",
    "data.template": "Template", "preview.prompt": "Prompt",
}  # fmt: skip

ELSEWHERE = ("schema_version", "model.path")
"""Asked on another step, or not at all."""

TITLES = {
    "network": "network", "data": "pictures and captions", "optimizer": "optimizer", "training": "loss",
    "memory": "precision and memory", "model": "base model", "preview": "preview", "validation": "validation",
    "save": "files", "": "seed",
}  # fmt: skip
"""What the sections that can be unfolded are called, the likeliest first."""


_NAME = re.compile(r"\b(?:[a-z]+\.[a-z_]*[a-z]|[a-z]+(?:_[a-z]+)+)\b")
"""A setting in a sentence, with its section or at least with an underscore."""


@dataclass(frozen=True)
class Setting:
    """One setting as a field."""

    name: str
    """With its section, e.g. "training.steps"."""
    label: str
    help: str
    choices: tuple[str, ...]
    """What it can be; empty where it is typed."""

    @property
    def id(self) -> str:
        """Id of its widget."""
        return "set-" + self.name.replace(".", "-")


@cache
def settings() -> dict[str, Setting]:
    """Return all settings that have a field, by name."""
    return {name: _setting(name, field) for name, field in fields_of(RunConfig) if name not in ELSEWHERE}


@cache
def groups() -> tuple[tuple[str, str], ...]:
    """Return the sections that can be unfolded, with their titles; one without a title of its own comes last."""
    sections = dict.fromkeys(_section(name) for name in settings() if name not in BASIC)
    found = [section for section in (*TITLES, *sections) if section in sections]
    return tuple((section, TITLES.get(section, section)) for section in dict.fromkeys(found))


def _section(name: str) -> str:
    return name.split(".")[0] if "." in name else ""


def group_members(section: str) -> list[Setting]:
    """Return the settings that a section holds beyond the basic ones."""
    return [one for name, one in settings().items() if _section(name) == section and name not in BASIC]


def _setting(name: str, field: Any) -> Setting:
    last = name.rpartition(".")[2].replace("_", " ")
    bounds = _grouped(bounds_text(field))
    help_text = f"{field.description}" + (f" ({bounds})" if bounds else "")
    return Setting(name, LABELS.get(name, last), help_text, _choices(name, field.annotation))


def with_labels(text: str) -> str:
    """Return a sentence that calls settings what the form calls them."""
    told = _NAME.sub(lambda found: labels().get(found[0], found[0]), text)
    return told[:1].upper() + told[1:]


@cache
def labels() -> dict[str, str]:
    """Return what the form calls each setting, by its dotted name and by the last part of that alone."""
    whole = {name: one.label for name, one in settings().items()}
    return {name.rpartition(".")[2]: label for name, label in whole.items()} | whole


def named_in(text: str) -> str:
    """Return the setting that a sentence is about, the first that it names; empty where it names none."""
    return next((name for name in _NAME.findall(text) if name in settings()), "")


def _choices(name: str, annotation: Any) -> tuple[str, ...]:
    if name == "network.activation":
        return (*PORTABLE_ACTIVATIONS, *OTHER_ACTIVATIONS)
    if annotation is bool:
        return ("false", "true")
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ()


def texts_of(config: RunConfig) -> dict[str, str]:
    """Return every setting's value as one types it, by name."""
    tree = config.model_dump(mode="json")
    return {name: value_text(_value(tree, name)) for name in settings()}


def _value(tree: Mapping[str, Any], name: str) -> Any:
    value: Any = tree
    for part in name.split("."):
        value = value[part]
    return value


def tree_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return typed texts as a tree of settings."""
    tree: dict[str, Any] = {}
    for name, text in texts.items():
        *sections, last = name.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[last] = _parts(text) if _is_tuple(name) else text.strip() if name != "data.filename_join" else text
    return tree


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]


@cache
def _annotations() -> dict[str, Any]:
    return {name: field.annotation for name, field in fields_of(RunConfig)}


def _is_tuple(name: str) -> bool:
    return get_origin(_annotations()[name]) is tuple


def read_texts(texts: Mapping[str, str], base: RunConfig) -> tuple[RunConfig | None, dict[str, str]]:
    """Return the configuration that typed texts make, or None and what is wrong by setting.

    Args:
        texts: What is typed, by setting.
        base: Gives what is not on the form.
    """
    tree = tree_of(texts)
    tree.setdefault("model", {})["path"] = base.model.path
    wrong = _template_problem(texts.get("data.template", ""))
    try:
        config = RunConfig.model_validate(tree)
    except ValidationError as error:
        problems: dict[str, str] = {}
        for found in error.errors(include_url=False):
            name = _name_of(found["loc"])
            problems.setdefault(name, _advice(name, found))
        return None, {**problems, **wrong}
    return (None, wrong) if wrong else (config, {})


def _name_of(place: Sequence[int | str]) -> str:
    """Return the setting that an error belongs to; those about a whole section go to one that is to blame."""
    parts = [str(part) for part in place if isinstance(part, str)]
    whole = {"optimizer": "optimizer.learning_rate", "network": "network.dropout_structure"}
    name = ".".join(parts)
    return whole.get(name, name)


def _advice(name: str, problem: Any) -> str:
    fields = dict(fields_of(RunConfig))
    bounds = _grouped(bounds_text(fields[name])) if name in fields else ""
    kind, limits = problem["type"], f", {bounds}" if bounds else ""
    if kind in ("int_parsing", "int_from_float", "int_type"):
        return f"Type a whole number{limits}."
    if kind == "float_parsing":
        return f"Type a number{limits}."
    if bounds and kind != "value_error":
        return f"Type {'one of ' if 'steps of' in bounds else 'a number, '}{bounds}."
    reason = printable(problem["msg"].removeprefix("Value error, "), 200)
    return with_labels(f"It {reason}." if re.match(r"(must|may|is|needs|holds)\b", reason) else f"{reason}.")


def _grouped(text: str) -> str:
    """Return a text with commas in its large whole numbers."""
    return re.sub(r"(?<![\d.])\d{4,}(?![\d.])", lambda found: f"{int(found[0]):,}", text)


def _template_problem(text: str) -> dict[str, str]:
    from pathlib import Path

    from trainer.captions.templates import template_names

    names = template_names()
    if text.strip().removesuffix(".txt") in names or Path(text.strip()).expanduser().is_file():
        return {}
    return {"data.template": f"There is no such template. Type {', '.join(names)}, or a text file."}
