"""The questions of the Results screen."""

from collections.abc import Mapping
from pathlib import Path

from trainer.text import printable
from tui.screens.train_edit import prompt_problem, rate_problem
from tui.widgets.dialogs import Field

EXPORTS = ("lora", "full-diff", "diffusers", "merged-checkpoint")


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


def export_fields(checkpoint: Path) -> list[Field]:
    """Return the fields of "export"."""
    return [
        Field(
            "kind",
            "As",
            f"One of {', '.join(EXPORTS)}. A network with an activation or a norm is no exact change of weights.",
            EXPORTS[0],
            lambda text: "" if text.strip() in EXPORTS else f"Type one of {', '.join(EXPORTS)}.",
        ),
        Field(
            "out",
            "File, or folder for diffusers",
            "Where it is written; nothing that is there already is replaced.",
            str(checkpoint.with_name(f"{checkpoint.stem}-lora.safetensors")),
            lambda text: "" if text.strip() else "Type a path.",
        ),
        Field(
            "approximate",
            "Take the closest where it can't be exact",
            "no or yes; the error is measured and told.",
            "no",
            lambda text: "" if text.strip() in ("yes", "no") else "Type yes or no.",
        ),
    ]


def _folder_problem(text: str) -> str:
    return "" if text.strip() and Path(text.strip()).expanduser().is_dir() else "Type the path of a folder there is."


def _name_problem(text: str) -> str:
    return prompt_problem(text) if text.strip() else "Type a name."
