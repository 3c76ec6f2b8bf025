"""A run's report: one HTML file with everything in it, to be read anywhere and sent to anybody.

No script, no link to the outside; every text of the user's is escaped.
"""

import base64
import io
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from PIL import Image

from trainer.config import RunConfig, read_config
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.grids import newest_grid, read_grid
from trainer.hypernetwork.structure import Structure
from trainer.programs import users_of
from trainer.report_chart import Curve, chart
from trainer.run.events import read_events
from trainer.run.facts import MadeFile
from trainer.run.folder import RunFolder
from trainer.run.state import RunState, replay
from trainer.text import duration_text, printable
from trainer.verdict import Verdict, judge_training

FILE_NAME = "report.html"
MOST_PREVIEWS = 24
PREVIEW_PX, BEST_PX, GRID_PX = 256, 512, 1800
_log = logging.getLogger(__name__)


def write_report(run: RunFolder) -> Path:
    """Write `report.html` into a run's folder and return it; an older one is replaced whole.

    Raises:
        AppError: the run has no configuration or no events.
        OSError: the folder cannot be written.
    """
    config = read_config(run.config_file)
    state = replay(read_events(run.events_file))
    if state.last_t is None:
        raise AppError("Nothing to report", f"{printable(run.title)} has not begun.", "Let it run first.")
    path = run.path / FILE_NAME
    write_atomic(path, report_html(run, config, state))
    return path


def report_at_end(run: RunFolder) -> None:
    """Write the report of a run that has ended; whatever goes wrong is only logged."""
    try:
        write_report(run)
    except Exception:  # a report is never worth a run
        _log.exception("the report could not be written; `hypernet report` tries again")


def report_html(run: RunFolder, config: RunConfig, state: RunState) -> str:
    """Return the whole page."""
    verdict = judge_training(state)
    style = (files("presets") / "report.css").read_text("utf-8")
    sections = (
        _head(run, config, state, verdict),
        _curves(state, verdict),
        _timeline(run, state, verdict),
        _grid(run),
        _usage(config),
        _warnings(state),
        _settings(config),
    )
    title = _text(run.title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main></body></html>\n"
    )


def _text(value: object, limit: int = 2000) -> str:
    return escape(printable(value, limit))


def _head(run: RunFolder, config: RunConfig, state: RunState, verdict: Verdict) -> str:
    told = datetime.fromtimestamp(state.last_t or 0).strftime("%Y-%m-%d %H:%M")
    facts = {
        "Run": run.title,
        "Steps": f"{state.step:,} of {state.steps_total or config.training.steps:,}",
        "Time": duration_text(state.elapsed_s),
        "Device": state.worker.device if state.worker else "",
        "Base model": Path(config.model.path).name,
        "Standing": state.situation,
        "As of": told,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts.items() if value)
    evidence = "".join(f"<li>{_text(line)}</li>" for line in verdict.evidence)
    best = f"<p>Best step: <strong>{verdict.best_step:,}</strong></p>" if verdict.best_step is not None else ""
    advice = f"<p>{_text(verdict.advice)}</p>" if verdict.advice else ""
    return (
        f"<header><h1>{_text(config.name)}</h1><p class=verdict>{_text(verdict.text)}</p>{best}"
        f"<ul>{evidence}</ul>{advice}<dl>{rows}</dl></header>"
    )


def _curves(state: RunState, verdict: Verdict) -> str:
    raw = Curve("each step", "faint", [(p.step, p.loss) for p in state.points])
    smooth = Curve("smoothed", "first", [(p.step, p.smoothed_loss) for p in state.points])
    sides = (
        ("held-out pictures", "first", [(v.step, v.held_out) for v in state.validations if v.held_out is not None]),
        ("mirrored pictures", "first", [(v.step, v.mirrored) for v in state.validations if v.mirrored is not None]),
        ("training pictures", "second", [(v.step, v.training) for v in state.validations if v.training is not None]),
    )
    best = verdict.best_step
    charts = (
        chart("Loss with fixed noise; 1 is before training", [Curve(*side) for side in sides], best, "best"),
        chart("Training loss", [raw, smooth]),
        chart(
            "Learning rate",
            [Curve("rate", "first", [(p.step, p.learning_rate) for p in state.points if p.learning_rate is not None])],
        ),
    )
    return _section("Losses", "".join(charts))


def _timeline(run: RunFolder, state: RunState, verdict: Verdict) -> str:
    there = [made for made in _last_of_each_step(state.previews) if _inside(run, made) is not None]
    if not there:
        return ""
    best = min(there, key=lambda made: abs(made.step - (verdict.best_step or 0))) if verdict.best_step else None
    count = min(MOST_PREVIEWS, len(there))
    chosen = sorted({round(i * (len(there) - 1) / max(1, count - 1)) for i in range(count)})
    shown = [there[i] for i in chosen]
    if best is not None and best not in shown:
        shown = sorted([*shown, best], key=lambda made: made.step)
    figures = [_preview(run, made, made is best) for made in shown]
    left_out = len(there) - len(shown)
    note = f"<p>{left_out} more are in the run's folder images.</p>" if left_out > 0 else ""
    return _section("Previews", f"<div class=strip>{''.join(figures)}</div>{note}")


def _last_of_each_step(previews: Iterable[MadeFile]) -> list[MadeFile]:
    return sorted({made.step: made for made in previews}.values())


def _inside(run: RunFolder, made: MadeFile) -> Path | None:
    """Return a preview's file by its name in the run's own folder, wherever that was moved."""
    path = run.images / Path(made.path).name
    return path if path.is_file() else None


def _preview(run: RunFolder, made: MadeFile, is_best: bool) -> str:
    path = _inside(run, made)
    label = f"step {made.step:,}" + (" ★ best" if is_best else "")
    picture = _inlined(path, PREVIEW_PX, f"preview of {label}") if path else ""
    return f"<figure{' class=best' if is_best else ''}>{picture}<figcaption>{label}</figcaption></figure>"


def _grid(run: RunFolder) -> str:
    folder = newest_grid(run)
    if folder is None:
        return ""
    index = read_grid(folder)
    name = f"grid of pictures: {printable(index.title)}" if index else "grid of pictures"
    return _section("Grid", _inlined(folder / "grid.png", GRID_PX, name))


def _inlined(path: Path, most_px: int, name: str) -> str:
    """Return a picture as an element with its data in it; a line of text where it cannot be read."""
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        _log.warning("%s is left out of the report: %s", path, error)
        return f"<p>{_text(path.name)} cannot be read.</p>"
    small = max(picture.size) <= 128
    picture.thumbnail((most_px, most_px))
    data = io.BytesIO()
    # Small pictures stay exact; large ones would make the page too heavy.
    picture.save(data, format="PNG" if small else "JPEG", **({} if small else {"quality": 88}))
    kind, text = ("png" if small else "jpeg"), base64.b64encode(data.getvalue()).decode("ascii")
    return (
        f'<img alt="{_text(name)}" width="{picture.width}" height="{picture.height}" '
        f'src="data:image/{kind};base64,{text}">'
    )


def _usage(config: RunConfig) -> str:
    network = config.network
    structure = Structure(
        layer_structure=network.layer_structure,
        activation_func=network.activation,
        is_layer_norm=network.layer_norm,
        activate_output=network.activate_output,
    )
    lines = "".join(f"<li>{_text(line)}</li>" for line in users_of(structure))
    name = _text(config.name)
    commands = "".join(
        f"<li><code>{command}</code> {what}</li>"
        for command, what in (
            (f"hypernet install {name}", "puts the best step into A1111 or ComfyUI"),
            (f"hypernet generate --grid step --run {name}", "shows checkpoints against strengths"),
            (f"hypernet export {name} --to lora", "makes a LoRA, where the network is linear"),
        )
    )
    return _section(
        "How to use it",
        f"<p>In a prompt: <code>&lt;hypernet:{name}:0.8&gt;</code>; 0.8 is the strength.</p>"
        f"<ul>{lines}</ul><ul>{commands}</ul>",
    )


def _warnings(state: RunState) -> str:
    messages = dict.fromkeys(str(event.get("message", "")) for event in state.log if event["kind"] == "warning")
    items = "".join(f"<li>{_text(message)}</li>" for message in list(messages)[:50])
    return _section("Warnings", f"<ul>{items}</ul>") if items else ""


def _settings(config: RunConfig) -> str:
    default = dict(_flat(RunConfig().model_dump(mode="json")))
    rows = []
    for key, value in _flat(config.model_dump(mode="json")):
        changed = value != default.get(key)
        rows.append(
            f"<tr{' class=changed' if changed else ''}><td>{_text(key)}</td><td>{_text(_shown(value))}</td></tr>"
        )
    note = "<p>What differs from the defaults is bold.</p>"
    return _section("Settings", f"{note}<table>{''.join(rows)}</table>")


def _flat(tree: dict[str, object], prefix: str = "") -> Iterable[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "yes" if value is True else "no" if value is False else str(value)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>" if body else ""
