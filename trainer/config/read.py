"""Configurations from TOML, presets and `KEY=VALUE`, with one clear line for every mistake."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from trainer.config.model import RunConfig
from trainer.errors import AppError
from trainer.text import nearest, printable

Tree = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


def build_config(*layers: Mapping[str, Any]) -> RunConfig:
    """Merge layers of settings, the weakest first, and check the result.

    Raises:
        AppError: an unknown name or a value out of bounds; names the field, the value, the bounds
            and the nearest valid name.
    """
    merged: Tree = {}
    for layer in layers:
        merged = merge(merged, layer)
    return validated(RunConfig, merged)


def validated(model: type[Model], tree: Mapping[str, Any], where: str = "") -> Model:
    """Return `tree` as a `model`, or raise an `AppError` with one line for each mistake."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [_line(model, problem) for problem in error.errors(include_url=False)]
        place = f"in {where}: " if where else ""
        raise AppError(
            "Bad setting", place + " ".join(lines), "`hypernet settings` lists all with their bounds."
        ) from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """Return `base` with the values of `over` put in, table by table."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def difference(config: BaseModel, base: BaseModel) -> Tree:
    """Return the settings in which `config` differs from `base`, as a tree."""
    return _difference(config.model_dump(mode="json"), base.model_dump(mode="json"))


def _difference(tree: Tree, base: Tree) -> Tree:
    found: Tree = {}
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            below = _difference(value, base[key])
            found.update({key: below} if below else {})
        elif value != base.get(key):
            found[key] = value
    return found


def assignments(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a tree of settings as `KEY=VALUE` texts, which `parse_assignments` reads."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from assignments(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={value_text(value)}"


def value_text(value: Any) -> str:
    """Return a setting's value as one types it: true, 1,2,1, 0.1."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(value_text(each) for each in value)
    return format(value, "g") if isinstance(value, float) else str(value)


def parse_assignments(assignments: Iterable[str]) -> Tree:
    """Read `KEY=VALUE` texts such as `training.steps=500` into a tree of settings.

    Raises:
        AppError: no equals sign, or a name that no setting has.
    """
    tree: Tree = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        path = key.strip().split(".")
        if not equals:
            raise AppError(
                "Bad setting", f"{printable(assignment)} has no value.", "Write KEY=VALUE, e.g. training.steps=500."
            )
        node = tree
        for part in _known_path(path)[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = _value(path, text.strip())
    return tree


def read_toml(path: Path) -> Tree:
    """Read a TOML file.

    Raises:
        AppError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AppError("Cannot read settings", f"{printable(path)}: {error.strerror}.", "Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AppError("Cannot read settings", f"{printable(path)}: {error}.", "Correct the file.") from None


def read_config(path: Path) -> RunConfig:
    """Read a whole configuration from a TOML file."""
    return validated(RunConfig, read_toml(path), printable(path))


def config_toml(config: BaseModel) -> str:
    """Return a configuration as TOML, with every value."""
    return tomlkit.dumps(config.model_dump(mode="json", exclude_none=True))


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, field) for every setting below `model`."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from fields_of(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _known_path(path: list[str]) -> list[str]:
    names = [name for name, _ in fields_of(RunConfig)]
    if ".".join(path) not in names:
        raise AppError(
            "Unknown setting", f"There is no setting {printable('.'.join(path))}.", _nearest_setting(path, names)
        )
    return path


def _nearest_setting(path: list[str], names: list[str]) -> str:
    by_full = nearest(".".join(path), names)
    last = {name.rsplit(".", 1)[-1]: name for name in names}
    by_last = difflib.get_close_matches(path[-1], last, n=1, cutoff=0.6)
    if not by_full and by_last:
        return f"Did you mean {last[by_last[0]]}?"
    return by_full.strip() or "`hypernet settings` lists all of them."


def _value(path: list[str], text: str) -> Any:
    field = dict(fields_of(RunConfig))[".".join(path)]
    if str(field.annotation).startswith("tuple"):
        return [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]
    return text


def bounds_text(field: FieldInfo) -> str:
    """Return a field's bounds and unit for people, e.g. "64 to 2048 px, in steps of 64"."""
    bounds: dict[str, Any] = {}
    for limit in field.metadata:
        for name in ("ge", "gt", "le", "lt", "multiple_of"):
            if hasattr(limit, name):
                bounds[name] = getattr(limit, name)
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is None and high is None:
        return ""
    extra = field.json_schema_extra
    unit = f" {extra['unit']}" if isinstance(extra, dict) and "unit" in extra else ""
    span = f"{low} to {high}" if high is not None else f"{low} or more" if "ge" in bounds else f"more than {low}"
    step = f", in steps of {bounds['multiple_of']}" if "multiple_of" in bounds else ""
    return span + unit + step


def _line(model: type[BaseModel], problem: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    name = ".".join(path) or "settings"
    fields = dict(fields_of(model))
    if problem["type"] == "extra_forbidden":
        return f"There is no setting {printable(name)}. {_nearest_setting(path, list(fields))}"
    reason = problem["msg"].removeprefix("Value error, ").rstrip(".")
    bounds = bounds_text(fields[name]) if name in fields else ""
    allowed = f" (allowed: {bounds})" if bounds else ""
    value = problem["input"]
    shown = "" if isinstance(value, Mapping | BaseModel) else f" is {printable(repr(value), 80)}, but"
    return f"{printable(name)}{shown} {reason[0].lower()}{reason[1:]}{allowed}."
