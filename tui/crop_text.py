"""What the Crop screen says, as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.pictures.faces import NO_FACE
from trainer.text import printable, without_options
from tui.words import counted, fit

if TYPE_CHECKING:
    from trainer.pictures.check import CheckReport
    from trainer.pictures.look import Look
    from trainer.pictures.options import CropOptions
    from trainer.pictures.propose import Proposal

MARKS: Mapping[str, str] = {"fine": "✓", "warning": "!", "left-out": "✗", "": "·"}
TONES: Mapping[str, str] = {"warning": "warning", "left-out": "muted", "": "muted"}
MODES: Mapping[str, str] = {
    "center": "centre",
    "focal": "focal point",
    "face": "face",
    "auto-size": "size by shape",
    "split": "in pieces",
}
_WORDS_CELLS = 22
"""Room for the longest words behind a name, such as "blurred, size by shape"."""
BY_HAND = "by hand"
LEFT_OUT = "left out by you"
FACELESS = "no face, focal"
"""How a picture without a face is framed where faces are looked for."""


@dataclass(frozen=True)
class Verdict:
    """What is known of one source picture."""

    status: str = ""
    """A look's status; empty while nobody has looked."""
    remark: str = ""
    """Why it is left out, or what to know; harmless to show."""


UNSEEN = Verdict()


def verdicts_of(report: "CheckReport | None") -> dict[str, Verdict]:
    """Return verdicts by file name; for a thread, where there are thousands."""
    return {look.path.name: verdict_of(look) for look in report.looks} if report is not None else {}


def verdict_of(look: "Look") -> Verdict:
    """Return a look's verdict."""
    return Verdict(look.status, printable("; ".join(filter(None, (look.reason, *look.notes))), 400))


def row_text(name: str, verdict: Verdict, mode: str, is_left_out: bool, width: int) -> tuple[str, str]:
    """Return a picture's line in the list, and its tone.

    Args:
        name: The picture's file name.
        verdict: What is known of it.
        mode: How it is framed, in a word.
        is_left_out: Whether the user left it out.
        width: Cells.
    """
    status = "left-out" if is_left_out else verdict.status
    room = max(8, width // 2 - 2, width - _WORDS_CELLS - 3)
    return (
        f"{MARKS[status]} {fit(printable(name, 120), room)} {row_words(verdict, mode, is_left_out)}",
        TONES.get(status, ""),
    )


def row_words(verdict: Verdict, mode: str, is_left_out: bool) -> str:
    """Return what a picture's line says besides its name."""
    if is_left_out:
        return LEFT_OUT
    if verdict.status == "left-out":
        return "left out"
    return f"{short(verdict.remark)}, {mode}" if verdict.status == "warning" else mode


def short(remark: str) -> str:
    """Return a remark in a word or two."""
    for sign, word in (
        ("the same file as", "a copy"), ("it is nearly the", "alike"), ("one colour", "one colour"),
        ("enlarged", "small"), ("too small", "small"),
        ("blurred", "blurred"), ("frames", "animated"), ("pages", "pages"), ("although its name", "misnamed"),
        ("border", "borders"), ("keeps", "much cut"), ("near its shape", "narrow"),
    ):  # fmt: skip
        if sign in remark:
            return word
    return "see below"


def summary_text(counts: Mapping[str, int], num_left_out: int, settings: str) -> str:
    """Return the counts of a folder and how it is cropped.

    Args:
        counts: Of those pictures that the user didn't leave out, by status.
        num_left_out: Pictures that the user left out.
        settings: How all are cropped.
    """
    counts = {status: counts.get(status, 0) for status in MARKS}
    parts = [f"{counts['fine']:,} fine"] if counts["fine"] else []
    parts += [f"{counts['warning']:,} with a remark"] if counts["warning"] else []
    parts += [f"{left:,} left out"] if (left := counts["left-out"] + num_left_out) else []
    parts += [f"{counts['']:,} not looked at yet"] if counts[""] else []
    told = ", ".join(parts)
    total = counted(sum(counts.values()) + num_left_out, "picture")
    return f"{total}: {told} · {settings}" if told else f"{total} · {settings}"


def settings_text(options: "CropOptions") -> str:
    """Return how all pictures are cropped, in a few words."""
    sides = [f"{options.size} px", *(["own shapes"] * options.keep_aspect)]
    if options.mode == "auto-size":
        bounds = options.auto_size
        sides = [f"{bounds.smallest_side}-{bounds.largest_side} px", f"trained at {options.size} px"]
    return ", ".join([MODES[options.mode], *sides, *(["mirrored copies"] * options.flip)])


def frame_text(name: str, proposal: "Proposal", mode: str) -> str:
    """Return picture, frame and result as three lines; they also serve those who can't see the picture."""
    header, cut = proposal.header, proposal.cuts[0]
    frame, factor = cut.frame, cut.enlargement
    scaled = f", enlarged {factor:.1f}×" if factor > 1.01 else f", reduced {1 / factor:.1f}×" if factor < 0.99 else ""
    mode = FACELESS if NO_FACE in proposal.notes else mode
    pieces = f" and {len(proposal.cuts) - 1} more" if len(proposal.cuts) > 1 else ""
    return (
        f"{fit(printable(name, 60), 24).rstrip()}  {header.width:,}×{header.height:,}\n"
        f"{mode}: {frame.width:.0f}×{frame.height:.0f} at {frame.left:.0f},{frame.top:.0f}{pieces}\n"
        f"→ {cut.out_width}×{cut.out_height}{scaled}"
    )


def report_lines(report: "CheckReport") -> list[str]:
    """Return the whole of what was found on a folder: advice, then sizes and shapes, then remark by remark."""
    lines = [*report.warnings, *map(without_options, report.suggestions)]
    for title, counts in (("Shorter side in pixels", report.short_sides), ("Shape", report.shapes)):
        widest = max([1, *counts.values()])
        lines += ["", title]
        lines += [
            f"  {label:<14} {'█' * round(20 * count / widest):<20} {count:,}".rstrip()
            for label, count in counts.items()
            if count
        ]
    told = [look for look in report.looks if look.reason or look.notes]
    if told:
        lines += ["", "Remarks"]
        lines += [f"  {MARKS[look.status]} {printable(look.path.name, 60)}: {verdict_of(look).remark}" for look in told]
    return lines
