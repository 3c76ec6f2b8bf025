"""The ways to compute the same step, and how the settings say them."""

from dataclasses import dataclass
from typing import Any, Literal

from trainer.config import RunConfig
from trainer.config.read import build_config, parse_assignments

Weights = Literal["full", "8bit"]
Offload = Literal["none", "half", "all"]


@dataclass(frozen=True)
class Way:
    """How a step is computed."""

    micro_batch: int
    """Pictures at once."""
    checkpointing: bool
    size_px: int
    weights: Weights = "full"
    """How the frozen UNet's layers are stored."""
    offload: Offload = "none"
    """Which of them stay in the host's memory."""
    optimizer_on_host: bool = False

    @property
    def technique(self) -> Literal["full", "checkpointing"]:
        """Its name in the table of peaks."""
        return "checkpointing" if self.checkpointing else "full"


def own_way(config: RunConfig) -> Way:
    """Return the way that the settings ask for."""
    batch, memory = config.training.batch_size, config.memory
    micro_batch = min(memory.micro_batch or batch, batch)
    return Way(
        micro_batch,
        memory.gradient_checkpointing,
        config.data.size,
        memory.weights,
        memory.offload,
        memory.optimizer_on_host,
    )


def settings_for(way: Way, config: RunConfig) -> list[str]:
    """Return the settings, as KEY=VALUE, that turn what is set into this way."""
    own, changes = own_way(config), []
    if way.micro_batch != own.micro_batch:
        whole = way.micro_batch == config.training.batch_size
        changes.append(f"memory.micro_batch={0 if whole else way.micro_batch}")
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("data.size", way.size_px, own.size_px),
        ("memory.gradient_checkpointing", way.checkpointing, own.checkpointing),
        ("memory.weights", way.weights, own.weights),
        ("memory.offload", way.offload, own.offload),
        ("memory.optimizer_on_host", way.optimizer_on_host, own.optimizer_on_host),
    )
    return changes + [f"{key}={_text(value)}" for key, value, before in pairs if value != before]


def with_way(config: RunConfig, way: Way) -> RunConfig:
    """Return the settings changed to this way, checked as any others are."""
    return build_config(config.model_dump(), parse_assignments(settings_for(way, config)))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
