"""What a crop would make of one picture, to be looked at before it is made."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trainer.pictures.crop import frame_picture
from trainer.pictures.decode import Header
from trainer.pictures.framing import Cut, manual_cut
from trainer.pictures.geometry import Frame
from trainer.pictures.options import CropOptions

KEPT_PX = 400
"""The picture is kept no larger than this: more than any terminal shows."""


@dataclass(frozen=True)
class Proposal:
    """A picture with its frames."""

    header: Header
    picture: Image.Image
    """Small, mode RGB, in the picture's whole shape."""
    cuts: tuple[Cut, ...]
    notes: tuple[str, ...]
    """On how the frames were found, and on enlarging."""


def propose(path: Path, options: CropOptions, manual: Frame | None = None) -> Proposal:
    """Frame a picture exactly as cropping it will.

    Raises:
        PictureError: with the reason why it cannot be used.
        AppError: the mode needs OpenCV or a model file that is missing.
    """
    picture, cuts, notes = frame_picture(path, options, manual)
    small = picture.rgb.copy()
    small.thumbnail((KEPT_PX, KEPT_PX))
    return Proposal(picture.header, small, tuple(cuts), (*notes, *picture.notes))


def by_hand(proposal: Proposal, options: CropOptions, frame: Frame) -> Proposal:
    """Return the same picture with a frame of the user's.

    Raises:
        PictureError: the frame doesn't suit the picture or the options.
    """
    header = proposal.header
    return Proposal(header, proposal.picture, (manual_cut(header.width, header.height, options, frame),), ())
