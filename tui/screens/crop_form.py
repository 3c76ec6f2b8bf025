"""The form of options that concern all pictures."""

from collections.abc import Collection, Mapping, Sequence

from trainer.pictures.geometry import STEP_PX
from trainer.pictures.options import CropOptions
from tui.crop_text import MODES
from tui.widgets.fields import Choice, ChoiceField, Field, TextField

SMALLEST_PX, LARGEST_PX = 64, 2048
_MODES = {
    "center": "The largest square in the middle: quick, and right for centred subjects.",
    "focal": "Where edges, detail and faces are: for subjects off the middle.",
    "face": "Around faces, foreheads kept; pictures without one by their focal point.",
    "auto-size": "Sides within A1111's bounds that suit each shape; training brings them to Size.",
    "split": "Long pictures become several overlapping squares.",
}
_SHAPES = (
    Choice("square", "square", "All training pictures are squares of one size: the usual way."),
    Choice("own", "the picture's own", "Sides are multiples of 64 near each picture's shape; less is cut away."),
)
_COPIES = (
    Choice("no", "no", "Each picture once. Right where left and right differ: text, a parting."),
    Choice("yes", "yes", "A mirrored copy of each picture as well: twice the pictures from few."),
)


def option_rows(options: CropOptions, has_faces: bool) -> Sequence[tuple[str, Field]]:
    """Return labels and fields for options that concern all pictures.

    Args:
        options: As they are.
        has_faces: Whether faces can be found here; not offered otherwise.
    """
    modes = [
        Choice(id_, MODES[id_], says)
        for id_, says in _MODES.items()
        if has_faces or id_ != "face" or id_ == options.mode
    ]
    return (
        ("Framing", _choice("mode", "Where the frame is put.", modes, options.mode)),
        (
            "Size",
            TextField(
                "Side of the training pictures in pixels: 512 for SD 1.x, 768 for SD 2.x-v.",
                check_size,
                id="size",
                value=str(options.size),
            ),
        ),
        ("Shape", _choice("shape", "Shape of the training pictures.", _SHAPES, "own" if options.keep_aspect else "")),
        ("Mirrored", _choice("flip", "Mirrored copies.", _COPIES, "yes" if options.flip else "no")),
    )


def hidden_options(values: Mapping[str, str]) -> Collection[str]:
    """Return the ids of fields that do nothing with such values."""
    return ("shape",) if values["mode"] == "auto-size" else ()


def check_size(text: str) -> str:
    """Return what is wrong with a size and what to type instead; empty where nothing is."""
    if text.strip().isdecimal() and SMALLEST_PX <= int(text) <= LARGEST_PX and int(text) % STEP_PX == 0:
        return ""
    return f"Type a multiple of {STEP_PX} from {SMALLEST_PX} to {LARGEST_PX}: 512 for SD 1.x, 768 for SD 2.x-v."


def _choice(id_: str, help_text: str, choices: Sequence[Choice], value: str) -> ChoiceField:
    field = ChoiceField(help_text, choices, id=id_)
    field.set_quietly(value)
    return field
