"""The questions of the Results screen."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.export import exactness
from trainer.text import printable
from tui.carry import ExportOrder
from tui.screens.train_edit import prompt_problem, rate_problem
from tui.widgets.dialogs import Field
from tui.widgets.fields import Choice, ChoiceField, TextField
from tui.widgets.fields import Field as FormField

_KINDS = (
    Choice("lora", "LoRA", "A file of the least rank needed, for A1111, Forge and ComfyUI."),
    Choice(
        "full-diff",
        "full",
        "Whole differences of weights: a large file for A1111, Forge, ComfyUI.",
    ),
    Choice("diffusers", "diffusers", "A folder with the whole UNet, changed, for pipelines of the same base model."),
    Choice("merged-checkpoint", "whole model", "The base model with the change built in, as one file for any program."),
)
_BIASES = (
    Choice("kept", "kept", "For A1111, Forge and ComfyUI; diffusers reads no LoRA with changes of bias."),
    Choice("dropped", "left out", "For diffusers as well; what that loses of the effect is told by the self-check."),
)


def try_fields(prompt: str) -> list[Field]:
    """Return the field of "try a prompt"."""
    help_text = "Drawn with the chosen step at the strength; then the arrows and + - draw it anew."
    return [Field("prompt", "Prompt", help_text, printable(prompt, 2000), _prompt_problem)]


def _prompt_problem(text: str) -> str:
    return "" if text.strip() else "Type what to draw."


def rewind_fields(before: Mapping[str, str], step: int) -> list[Field]:
    """Return the fields of "go on from here".

    Args:
        before: Learning rate and steps of the old run.
        step: Where to go on.
    """

    def steps_problem(text: str) -> str:
        enough = text.strip().isdecimal() and int(text) > step
        return "" if enough else f"Type a whole number above {step:,}, e.g. {2 * step}."

    return [
        Field(
            "learning_rate",
            "Learning rate",
            "A third of the old one is usual after distortion. A new one holds from there on as it is typed.",
            printable(before["learning_rate"], 500),
            rate_problem,
        ),
        Field(
            "steps",
            "Steps in total",
            f"The {step:,} already made included; the old run stays as it is.",
            before["steps"],
            steps_problem,
        ),
    ]


def rewind_settings(before: Mapping[str, str], changed: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return what the new run does differently."""
    settings: dict[str, dict[str, object]] = {}
    if changed.get("learning_rate", before["learning_rate"]) != before["learning_rate"]:
        settings["optimizer"] = {"learning_rate": changed["learning_rate"]}
    if changed.get("steps", before["steps"]) != before["steps"]:
        settings["training"] = {"steps": int(changed["steps"])}
    return settings


def install_fields(before: Mapping[str, str]) -> list[Field]:
    """Return the fields of "install".

    Args:
        before: The folder of the program found, empty without one, and the network's name.
    """
    return [
        Field(
            "folder",
            "Folder of A1111 or ComfyUI",
            "The program's own folder on this machine, or its folder of hypernetworks.",
            before["folder"],
            _folder_problem,
        ),
        Field("name", "Name", "What the tag says: <hypernet:NAME:0.8>.", before["name"], _name_problem),
    ]


def why_not_exact(network: Mapping[str, Any]) -> str:
    """Return what is to be said of a network that is no exact change of weights; empty of one that is.

    Args:
        network: The section of a run's settings.
    """
    reason = exactness.why_not_exact(
        network.get("layer_structure", ()),
        str(network.get("activation", "linear")),
        activate_output=bool(network.get("activate_output")),
        is_layer_norm=bool(network.get("layer_norm")),
    )
    if not reason:
        return ""
    return f"No change of weights equals this network: {reason}. The closest one is written, and how close it is told."


def export_rows(before: Mapping[str, str]) -> Sequence[tuple[str, FormField]]:
    """Return labels and fields of "export".

    Args:
        before: What was answered the last time; empty the first time.
    """
    kind, biases = ChoiceField("What is written.", _KINDS, id="kind"), ChoiceField("", _BIASES, id="biases")
    kind.set_quietly(before.get("kind", ""))
    biases.set_quietly(before.get("biases", ""))
    help_text = "A file, or a folder to write into. Nothing that is there is replaced."
    out = TextField(help_text, id="out", placeholder="beside the checkpoint", value=before.get("out", ""))
    return ("As", kind), ("Biases", biases), ("File", out)


def hidden_in_export(values: Mapping[str, str]) -> Collection[str]:
    """Return the ids of fields that do nothing with such values."""
    return () if values["kind"] == "lora" else ("biases",)


def export_order(checkpoint: Path, model: str, wanted: Mapping[str, str], *, approximate: bool) -> ExportOrder:
    """Return what was asked for.

    Args:
        checkpoint: What to export.
        model: The base model.
        wanted: Values of the fields.
        approximate: Take the closest change of weights.
    """
    kind, typed = wanted["kind"], wanted["out"].strip()
    suffix = "" if kind == "diffusers" else ".safetensors"
    out = Path(typed).expanduser() if typed else checkpoint.parent
    if out.is_dir():
        out = out / f"{checkpoint.stem}-{kind}{suffix}"
    elif out.suffix != suffix:  # programs list no other file
        out = out.with_name(f"{out.name}{suffix}")
    return ExportOrder(checkpoint, kind, model, out, approximate, kind != "lora" or wanted["biases"] == "kept")


def _folder_problem(text: str) -> str:
    return "" if text.strip() and Path(text.strip()).expanduser().is_dir() else "Type the path of a folder there is."


def _name_problem(text: str) -> str:
    return prompt_problem(text) if text.strip() else "Type a name."
