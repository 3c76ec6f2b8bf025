"""Find faces with OpenCV (the extra "faces"): YuNet where the user has its model file, else Haar cascades."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from trainer.errors import AppError
from trainer.text import printable

_LONG_SIDE_PX = 640
"""Detection works on a copy of at most this size: a face of a twentieth of it has 32 pixels."""

_THOROUGH_SIDE_PX = 1280
"""Size of the copy for a second look at pictures in which the first found no face; mistakes are likelier there."""

_FRONTAL = ("haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt2.xml")
_PROFILE = "haarcascade_profileface.xml"
_SMALLEST_PX = 32
"""On the copy: a twentieth of its longer side, as in A1111; smaller finds are mostly mistakes."""

_OVERLAP = 0.3
"""Boxes of which the smaller shares this much of its area with the larger are one face."""

NO_FACE = "no face was found in it; it is framed by its focal point"
"""What the mode "face" notes on a picture without one."""

Box = tuple[float, ...]
"""Left, top, width, height in pixels, and the certainty."""


@dataclass(frozen=True)
class Face:
    """A face's box in shares of the picture's width and height, 0 to 1: brows or hairline to chin."""

    left: float
    top: float
    width: float
    height: float
    certainty: float
    """YuNet's score, or how many neighbouring windows the cascades agreed on."""


def faces_available() -> bool:
    """Whether OpenCV with its cascades can be imported."""
    try:
        import cv2
    except ImportError:
        return False
    cv2.setNumThreads(1)  # pictures are worked on in parallel already
    return hasattr(cv2, "CascadeClassifier") and hasattr(cv2, "data")


def require_faces() -> None:
    """Raise AppError, saying how to mend it, where OpenCV is missing."""
    if not faces_available():
        raise AppError(
            "Faces need OpenCV",
            "Finding faces needs the package opencv-python-headless, at least 4.10 and below 5.",
            "Install it with: pip install 'hypernet-wizard[faces]', or frame otherwise (--mode focal or center).",
        )


def find_faces(image: Image.Image, model: Path | None = None, *, thorough: bool = False) -> list[Face]:
    """Return the faces on an RGB image, the largest first.

    Args:
        image: Mode RGB.
        model: YuNet's ONNX file; None takes the Haar cascades that OpenCV carries.
        thorough: Look again for smaller faces where none was found, at four times the cost.

    Raises:
        AppError: OpenCV is missing, or the model file cannot be used.
    """
    require_faces()
    found = _look(image, model, _LONG_SIDE_PX)
    if not found and thorough and max(image.size) > _LONG_SIDE_PX:
        found = _look(image, model, _THOROUGH_SIDE_PX)
    found.sort(key=lambda face: face.width * face.height, reverse=True)
    return found


def _look(image: Image.Image, model: Path | None, side_px: int) -> list[Face]:
    small = image.copy()
    small.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    return _by_cascades(small) if model is None else _by_yunet(small, model)


def _by_yunet(image: Image.Image, model: Path) -> list[Face]:
    """Detect with score 0.9, non-maximum suppression 0.3 and 5000 candidates, as A1111 does."""
    import cv2
    import numpy as np

    try:
        detector = cv2.FaceDetectorYN.create(str(model), "", image.size, 0.9, 0.3, 5000)
        _count, rows = detector.detect(np.asarray(image)[:, :, ::-1].copy())
    except cv2.error as error:
        raise AppError(
            "Cannot use the face model",
            f"{printable(model)}: {printable(error, 120)}",
            "Give YuNet's ONNX file (face_detection_yunet_2023mar.onnx), or none (leave --face-model out).",
        ) from None
    boxes = [] if rows is None else [(*row[:4], row[-1]) for row in rows]
    return [_face(box, image.size) for box in boxes]


def _by_cascades(image: Image.Image) -> list[Face]:
    """Detect with the frontal cascades, else the profile one in both directions; overlapping finds are joined."""
    import cv2
    import numpy as np

    grey = cv2.equalizeHist(np.asarray(image.convert("L")))
    boxes = [box for name in _FRONTAL for box in _detect(name, grey, 6)]
    if not boxes:
        mirrored = _detect(_PROFILE, grey[:, ::-1].copy(), 7)
        boxes = [(image.width - left - width, top, width, height, sure) for left, top, width, height, sure in mirrored]
        boxes += _detect(_PROFILE, grey, 7)
    return [_face(box, image.size) for box in _distinct(boxes)]


def _detect(name: str, grey: Any, neighbours: int) -> list[Box]:
    boxes, counts = _cascade(name).detectMultiScale2(
        grey, scaleFactor=1.1, minNeighbors=neighbours, minSize=(_SMALLEST_PX, _SMALLEST_PX)
    )
    return [(*(float(side) for side in box), float(count)) for box, count in zip(boxes, counts, strict=True)]


@lru_cache(maxsize=4)
def _cascade(name: str) -> Any:
    import cv2

    data: Any = getattr(cv2, "data")  # noqa: B009  (unknown to OpenCV's own type stubs)
    return cv2.CascadeClassifier(str(Path(data.haarcascades) / name))


def _distinct(boxes: list[Box]) -> list[Box]:
    """Keep the surest of boxes that overlap."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: box[4], reverse=True):
        if all(_shared(box, other) < _OVERLAP for other in kept):
            kept.append(box)
    return kept


def _shared(a: Box, b: Box) -> float:
    """Return the overlap of two boxes as a share of the smaller."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height) / min(a[2] * a[3], b[2] * b[3])


def _face(box: Box, size: tuple[int, int]) -> Face:
    left, top, width, height, certainty = (float(number) for number in box)
    return Face(left / size[0], top / size[1], width / size[0], height / size[1], certainty)
