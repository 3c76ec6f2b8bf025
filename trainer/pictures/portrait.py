"""Put a frame around faces without cutting foreheads off."""

from collections.abc import Sequence

from trainer.pictures.faces import Face
from trainer.pictures.geometry import Frame, frame_around

FACE_SHARE = 0.4
"""A frame comes closer until the largest face has this share of its height, if no pixels have to be invented."""

_HAIR = 0.6
_CHIN = 0.3
_EARS = 0.35
"""Room around a detected box, in its own heights and widths: detectors stop at the brows and the chin."""


def face_frame(width: int, height: int, out_width: int, out_height: int, faces: Sequence[Face]) -> Frame:
    """Return a frame that holds all faces with their hair and chins, or at least the largest if they don't fit.

    It comes closer until the largest face has `FACE_SHARE` of its height, but never so close that
    pixels would be invented, nor that any face it can hold is cut.
    """
    whole = frame_around(width, height, out_width, out_height, width / 2, height / 2)
    together = _together(width, height, faces, whole)
    group = _hull(together)
    needed = max(
        faces[0].height * height / FACE_SHARE,
        group.height,
        group.width * out_height / out_width,
        float(min(out_height, whole.height)),
    )
    x, y = group.left + group.width / 2, group.top + group.height / 2
    if len(together) == 1:
        y = (faces[0].top + faces[0].height * 0.6) * height  # eyes above the middle, as portraits have them
    frame = frame_around(width, height, out_width, out_height, x, y, zoom=whole.height / min(needed, whole.height))
    return _moved_over(frame, group, width, height)


def with_heads(frame: Frame, width: int, height: int, faces: Sequence[Face]) -> Frame:
    """Move a frame as little as needed to cut none of the heads it can hold; without faces it stays."""
    if not faces:
        return frame
    return _moved_over(frame, _hull(_together(width, height, faces, frame)), width, height)


def _together(width: int, height: int, faces: Sequence[Face], frame: Frame) -> list[Frame]:
    """Return the largest head and those beside it that fit into a frame of this size with it."""
    heads = [_head(face, width, height) for face in faces]
    together = heads[:1]
    for head in heads[1:]:
        joined = _hull([*together, head])
        if joined.width <= frame.width and joined.height <= frame.height:
            together.append(head)
    return together


def _head(face: Face, width: int, height: int) -> Frame:
    """Return a face's box with hair, chin and ears, cut at the picture's edges."""
    left = max(0.0, (face.left - face.width * _EARS) * width)
    right = min(float(width), (face.left + face.width * (1 + _EARS)) * width)
    top = max(0.0, (face.top - face.height * _HAIR) * height)
    bottom = min(float(height), (face.top + face.height * (1 + _CHIN)) * height)
    return Frame(left, top, right - left, bottom - top)


def _hull(frames: Sequence[Frame]) -> Frame:
    left, top = min(frame.left for frame in frames), min(frame.top for frame in frames)
    right, bottom = max(frame.box[2] for frame in frames), max(frame.box[3] for frame in frames)
    return Frame(left, top, right - left, bottom - top)


def _moved_over(frame: Frame, content: Frame, width: int, height: int) -> Frame:
    """Move a frame as little as needed to hold the content; what is too high or wide keeps its top and middle."""
    left, top = frame.left, frame.top
    if content.width <= frame.width:
        left = min(max(left, content.box[2] - frame.width), content.left)
    fits = content.height <= frame.height
    top = min(max(top, content.box[3] - frame.height), content.top) if fits else content.top
    left, top = min(max(left, 0.0), width - frame.width), min(max(top, 0.0), height - frame.height)
    return Frame(left, top, frame.width, frame.height)
