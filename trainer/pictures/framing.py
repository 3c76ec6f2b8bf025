"""Where the frames of a picture are put, by mode, and how large the training pictures are."""

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trainer.pictures.decode import Header, PictureError
from trainer.pictures.faces import NO_FACE, faces_available, find_faces
from trainer.pictures.geometry import STEP_PX, Frame, aspect_size, center_frame, enlargement, frame_around, inside
from trainer.pictures.options import AutoSizeOptions, CropOptions
from trainer.pictures.portrait import face_frame, with_heads


@dataclass(frozen=True)
class Cut:
    """One frame and the size it is resized to."""

    frame: Frame
    out_width: int
    out_height: int

    @property
    def enlargement(self) -> float:
        """How many times the frame's sides are enlarged; below 1 it is reduced."""
        return enlargement(self.frame, self.out_width, self.out_height)


def out_size(width: float, height: float, options: CropOptions) -> tuple[int, int]:
    """Return the sides of the training picture made of a width x height picture.

    Raises:
        PictureError: no size within the bounds of "auto-size" is near enough to the picture's shape.
    """
    if options.mode == "auto-size":
        return auto_size(width, height, options.auto_size)
    return aspect_size(width, height, options.size) if options.keep_aspect else (options.size, options.size)


def scale_needed(width: int, height: int, options: CropOptions, manual: Frame | None) -> float:
    """Return the scale at which a picture's pixels are used, at least (the mode "face" may come closer)."""
    if manual is not None:
        return manual_cut(width, height, options, manual).enlargement
    if _is_split(width, height, options):
        return options.size / min(width, height)
    out = out_size(width, height, options)
    return enlargement(center_frame(width, height, *out), *out)


def cuts_for(rgb: Image.Image, header: Header, options: CropOptions) -> tuple[list[Cut], tuple[str, ...]]:
    """Return the frames of a picture and notes on how they were found.

    Args:
        rgb: The picture, possibly reduced, in its whole shape.
        header: With the size that frames refer to.
        options: How to choose.
    """
    width, height = header.width, header.height
    if _is_split(width, height, options):
        return split_cuts(width, height, options.size, options.split.overlap), ()
    out = out_size(width, height, options)
    if options.mode == "focal":
        return [Cut(_focal_frame(rgb, width, height, out, options, faces=options.weights.faces > 0), *out)], ()
    if options.mode == "face":
        faces = find_faces(rgb, _face_model(options), thorough=True)
        if faces:
            return [Cut(face_frame(width, height, *out, faces), *out)], ()
        frame = _focal_frame(rgb, width, height, out, options, faces=False)
        return [Cut(frame, *out)], (NO_FACE,)
    return [Cut(center_frame(width, height, *out), *out)], ()


def manual_cut(width: int, height: int, options: CropOptions, frame: Frame) -> Cut:
    """Return the cut of a frame that the user chose; it is resized to the size for its own shape.

    Raises:
        PictureError: the frame does not lie on the picture, or is not of the shape of the training pictures.
    """
    if not inside(frame, width, height):
        raise PictureError(f"its manual frame does not lie on the picture of {width}×{height}")
    out = out_size(frame.width, frame.height, options)
    shape, wanted = frame.width / frame.height, out[0] / out[1]
    if not options.keeps_shape and abs(shape / wanted - 1) > 0.02:
        raise PictureError(f"its manual frame of {frame.width:.0f}×{frame.height:.0f} is not square")
    fitted = center_frame(round(frame.width), round(frame.height), *out)
    return Cut(Frame(frame.left + fitted.left, frame.top + fitted.top, fitted.width, fitted.height), *out)


def split_cuts(width: int, height: int, size: int, overlap: float) -> list[Cut]:
    """Return overlapping square pieces along the longer side (A1111, `postprocessing_split_oversized.py`)."""
    side, length = min(width, height), max(width, height)
    overlap = min(max(overlap, 0.0), 0.9)
    count = max(1, math.ceil((length - side * overlap) / (side * (1 - overlap)) - 1e-9))
    step = (length - side) / (count - 1) if count > 1 else 0.0
    starts = [step * number for number in range(count)]
    along_x = width > height
    frames = [Frame(start, 0, side, side) if along_x else Frame(0, start, side, side) for start in starts]
    return [Cut(frame, size, size) for frame in frames]


def auto_size(width: float, height: float, options: AutoSizeOptions) -> tuple[int, int]:
    """Return the sides, multiples of 64, that suit a picture's shape (A1111, `postprocessing_autosized_crop.py`).

    Raises:
        PictureError: none cuts away less than the threshold.
    """
    ratio = width / height
    sides = range(options.smallest_side, options.largest_side + 1, STEP_PX)
    rated = []
    for w in sides:
        for h in sides:
            cut = 1 - min(ratio / (w / h), (w / h) / ratio)
            if options.smallest_area <= w * h <= options.largest_area and cut <= options.threshold:
                rank = (w * h, -cut) if options.maximize_area else (-cut, w * h)
                rated.append((rank, (w, h)))
    if not rated:
        raise PictureError(
            f"no size from {options.smallest_side} to {options.largest_side} pixels is near its shape: "
            f"more than {options.threshold:.0%} would be cut away"
        )
    return max(rated)[1]


def _focal_frame(
    rgb: Image.Image, width: int, height: int, out: tuple[int, int], options: CropOptions, *, faces: bool
) -> Frame:
    from trainer.pictures.focal import focal_point

    found = find_faces(rgb, _face_model(options)) if faces and faces_available() else []
    x, y = focal_point(rgb, *out, options.weights, found)
    frame = frame_around(width, height, *out, x * width, y * height)
    # The weighted mean of A1111 may lie beside a face, whose forehead the frame then cuts.
    return with_heads(frame, width, height, found)


def _face_model(options: CropOptions) -> Path | None:
    return Path(options.face_model) if options.face_model else None


def _is_split(width: int, height: int, options: CropOptions) -> bool:
    share = min(width, height) / max(width, height)
    return options.mode == "split" and share < 1 and share <= options.split.threshold
