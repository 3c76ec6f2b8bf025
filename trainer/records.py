"""The files that A1111's users know: the loss table and the settings, and TensorBoard on request.

Layouts: modules/textual_inversion/textual_inversion.py and saving_settings.py at v1.10.1.
"""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from trainer.config import RunConfig
from trainer.files import write_atomic

CSV_COLUMNS = ("step", "epoch", "epoch_step", "loss", "learn_rate")


class LossTable:
    """`hypernetwork_loss.csv`: comma, CRLF, loss with seven decimals."""

    def __init__(self, path: Path, steps_done: int) -> None:
        """Open the table, leaving out rows of steps that a resumed run is about to repeat."""
        self._path = path
        rows = [row for row in _read_rows(path) if int(row["step"]) <= steps_done]
        write_atomic(path, _csv_text([CSV_COLUMNS, *([row[name] for name in CSV_COLUMNS] for row in rows)]))

    def add(self, step: int, epoch: tuple[int, int], loss: float, learning_rate: float) -> None:
        """Append one row."""
        with open(self._path, "a", encoding="utf-8", newline="") as file:
            file.write(_csv_text([(step, *epoch, f"{loss:.7f}", learning_rate)]))


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if all(row.get(name) for name in CSV_COLUMNS)]


def _csv_text(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def write_settings_json(
    folder: Path,
    config: RunConfig,
    *,
    model_name: str,
    model_hash: str,
    data_root: Path,
    num_pictures: int,
    initial_step: int,
    now: datetime,
) -> Path:
    """Write `settings-DATE-TIME.json` with A1111's names for what it has, and return its path."""
    network, training = config.network, config.training
    micro_batch = config.memory.micro_batch or training.batch_size
    settings = {
        "datetime": now.strftime("%Y-%m-%d %H:%M:%S"),
        "model_name": model_name,
        "model_hash": model_hash,
        "num_of_dataset_images": num_pictures,
        "layer_structure": list(network.layer_structure),
        "activation_func": network.activation,
        "weight_init": network.initialization,
        "add_layer_norm": network.layer_norm,
        "use_dropout": any(network.dropout_structure),
        "hypernetwork_name": config.name,
        "learn_rate": config.optimizer.learning_rate,
        "batch_size": min(micro_batch, training.batch_size),
        "gradient_step": -(-training.batch_size // micro_batch),
        "data_root": str(data_root),
        "log_directory": str(folder),
        "training_width": config.data.size,
        "training_height": config.data.size,
        "steps": training.steps,
        "clip_grad_mode": config.optimizer.clip,
        "clip_grad_value": config.optimizer.clip_value,
        "latent_sampling_method": config.data.latent_sampling,
        "create_image_every": config.preview.every,
        "save_hypernetwork_every": config.save.every,
        "template_file": config.data.template,
        "initial_step": initial_step,
        "preview_prompt": config.preview.prompt,
        "preview_negative_prompt": config.preview.negative_prompt,
        "preview_steps": config.preview.steps,
        "preview_cfg_scale": config.preview.cfg_scale,
        "preview_seed": config.preview.seed,
        "preview_width": config.preview.width or config.data.size,
        "preview_height": config.preview.height or config.data.size,
    }
    path = folder / f"settings-{now.strftime('%Y-%m-%d-%H-%M-%S')}.json"
    write_atomic(path, json.dumps(settings, indent=4, ensure_ascii=False))
    return path


class TensorBoard:
    """Loss and learning rate for TensorBoard, under A1111's names."""

    def __init__(self, folder: Path, steps_done: int) -> None:
        """Open a log in `folder`, leaving out steps that a resumed run is about to repeat.

        Raises:
            AppError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            from trainer.errors import AppError

            raise AppError(
                "TensorBoard is missing",
                "save.tensorboard is on, but TensorBoard is not installed.",
                "Install hypernet-wizard[tensorboard], or set save.tensorboard=false.",
            ) from None
        self._writer: Any = SummaryWriter(str(folder), purge_step=steps_done + 1)

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        """Log one step."""
        self._writer.add_scalar("Loss/train", loss, step)
        self._writer.add_scalar("Learn rate/train", learning_rate, step)

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()
