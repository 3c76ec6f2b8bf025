"""The training pictures and captions of a folder, read into what the VAE takes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.captions.files import caption_for
from trainer.config.model import DataSettings
from trainer.dataset import TrainingPicture
from trainer.errors import AppError
from trainer.files import sha256_of
from trainer.pictures.crop import crop_picture
from trainer.pictures.look import few_pictures_warning, look, picture_files
from trainer.pictures.options import CropOptions
from trainer.text import printable


def find_training_pictures(folder: Path, settings: DataSettings) -> tuple[list[TrainingPicture], list[str]]:
    """Return the usable pictures of a folder with their captions, and a warning for each that is left aside.

    Raises:
        AppError: the folder is missing, or holds no usable picture.
    """
    if not folder.is_dir():
        raise AppError(
            "No training pictures", f"{printable(folder)} does not exist.", "Crop first (`hypernet crop PROJECT`)."
        )
    pictures, warnings = [], []
    for path in picture_files(folder):
        seen = look(path)
        if not seen.usable:
            warnings.append(f"{printable(path.name)} is left aside: {seen.reason}.")
            continue
        caption = caption_for(path, settings.filename_regex, settings.filename_join)
        pictures.append(TrainingPicture(path, caption, sha256_of(path)))
    if not pictures:
        raise AppError(
            "No training pictures",
            f"{printable(folder)} holds no picture that can be used. {' '.join(warnings[:3])}".strip(),
            "Crop first (`hypernet crop PROJECT`).",
        )
    few = few_pictures_warning(len(pictures))
    if few:
        warnings.append(few)
    return pictures, warnings


def load_pixels(path: Path, settings: DataSettings) -> tuple[Tensor, Tensor | None]:
    """Read a picture as the VAE takes it: scaled to cover the training size and cut, never squashed.

    Returns:
        Pixels_CHW in −1…1, float32, and alpha_HW in 0…1 where it is the weight of the loss, else None.
    """
    options = CropOptions(settings.size, keep_aspect=settings.keep_aspect, keep_alpha=settings.alpha_as_weight)
    values_HWC = torch.from_numpy(np.array(crop_picture(path, options).images[0], dtype=np.float32))
    alpha_HW = values_HWC[..., 3] / 255 if values_HWC.shape[-1] == 4 else None
    return (values_HWC[..., :3] / 127.5 - 1).permute(2, 0, 1).contiguous(), alpha_HW
