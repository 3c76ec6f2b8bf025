"""The disk space that a run needs, counted from its settings."""

from dataclasses import dataclass

from trainer.config import RunConfig
from trainer.memory.network import NetworkSize
from trainer.memory.pace import last_step, times_due
from trainer.memory.table import Architecture

ARCHIVE_BYTES = 16 << 10
"""Names, sizes and padding of a checkpoint file."""
STATES_KEPT = 3
"""Two resume states, and the next one while it is written."""
EVENT_BYTES = 260
"""Of one step in the event log and in the table of losses."""
PNG_SHARE = 0.6
"""Of a picture's raw bytes; noise and photographs compress little."""


@dataclass(frozen=True)
class DiskNeed:
    """Bytes a run writes."""

    checkpoints: int
    """Hypernetwork files, the final one in the project included."""
    optimizer_files: int
    resume_states: int
    previews: int
    cache: int
    """Latents and text contexts, at most: what is cached already isn't written again."""
    logs: int
    num_checkpoints: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.checkpoints + self.optimizer_files + self.resume_states + self.previews + self.cache + self.logs


def disk_need(config: RunConfig, architecture: Architecture, network: NetworkSize, num_pictures: int) -> DiskNeed:
    """Count what a run writes.

    Args:
        config: Its settings.
        architecture: Of the base model.
        network: The hypernetwork.
        num_pictures: Training pictures.
    """
    steps = last_step(config)
    weights = network.weight_bytes
    saved = times_due(config.save.every, steps, at_start=False) or 1
    preview, size = config.preview, config.data.size
    picture = 3 * (preview.width or size) * (preview.height or size) * PNG_SHARE
    latents = 2 * 4 * 4 * size**2 // architecture.pixels_per_latent**2
    context = 4 * architecture.tokens * architecture.context_dim
    return DiskNeed(
        checkpoints=(saved + 1) * (weights + ARCHIVE_BYTES),
        optimizer_files=saved * (2 * weights + ARCHIVE_BYTES) if config.save.optimizer_state else 0,
        resume_states=STATES_KEPT * (3 * weights + ARCHIVE_BYTES),
        previews=int(times_due(preview.every, steps, at_start=True) * picture),
        cache=num_pictures * (latents + context),
        logs=steps * EVENT_BYTES,
        num_checkpoints=saved,
    )
