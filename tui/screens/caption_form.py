"""The form that says where captions come from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tui.caption_text import EXISTING, SOURCES
from tui.widgets.fields import Choice, ChoiceField, Field, TextField

if TYPE_CHECKING:
    from trainer.captions.captioners import CaptionerInfo
    from trainer.config.captioning import CaptionSettings


def source_rows(settings: "CaptionSettings", infos: Sequence["CaptionerInfo"]) -> Sequence[tuple[str, Field]]:
    """Return labels and fields.

    Args:
        settings: As they are.
        infos: The captioners that look at pictures, and how they stand on this machine.
    """
    sources = [Choice(id_, label, says) for id_, (label, says) in SOURCES.items()]
    sources += [Choice(info.name, info.title, f"{_sentence(info.writes)} {_sentence(info.standing)}") for info in infos]
    if settings.source not in {choice.value for choice in sources}:
        sources.append(Choice(settings.source, settings.source, "Several, joined in this order."))
    existing = [Choice(id_, label, says) for id_, (label, says) in EXISTING.items()]
    again = [
        Choice("no", "goes on", "What these same settings have written before stays as it is now."),
        Choice("yes", "begins anew", "What these same settings have written before is written again."),
    ]  # fmt: skip
    return (
        ("From", _choice("source", "Where captions come from.", sources, settings.source)),
        ("Old captions", _choice("existing", "What becomes of captions that are there.", existing, settings.existing)),
        ("Text", TextField("The caption of every picture.", _check_text, id="text", value=settings.text)),
        (
            "Model",
            TextField(
                "A folder, file or Hub name; empty takes the usual one.",
                id="model",
                placeholder="the usual one",
                value=_model_of(settings),
            ),
        ),
        ("After a stop", _choice("again", "Where the writing begins.", again, "no")),
    )


def hidden_fields(values: Mapping[str, str]) -> set[str]:
    """Return which fields do nothing with the chosen source, and with what becomes of old captions."""
    source = values["source"]
    does_nothing = {
        "text": "text" not in source.split(","),
        "model": not _is_captioner(source),
        "again": values["existing"] == "keep",
    }
    return {id_ for id_, is_hidden in does_nothing.items() if is_hidden}


def changes_of(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of [caption] that a filled form asks for."""
    source, model = values["source"], values["model"].strip()
    changes: dict[str, Any] = {"source": source, "existing": values["existing"], "text": values["text"]}
    if model and _is_captioner(source):
        changes[source] = {"model": model}
    return changes


def _is_captioner(source: str) -> bool:
    return source not in SOURCES and "," not in source


def _check_text(text: str) -> str:
    return "" if text.strip() else "Type the caption of every picture."


def _model_of(settings: "CaptionSettings") -> str:
    own = getattr(settings, settings.source, None)
    model = str(getattr(own, "model", ""))
    usual = str(type(own).model_fields["model"].default) if model and own is not None else ""
    return "" if model == usual else model


def _choice(id_: str, help_text: str, choices: Sequence[Choice], value: str) -> ChoiceField:
    field = ChoiceField(help_text, choices, id=id_)
    field.set_quietly(value)
    return field


def _sentence(phrase: str) -> str:
    return f"{phrase[:1].upper()}{phrase[1:]}." if phrase else ""
