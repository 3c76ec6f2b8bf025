"""Two real steps of the costliest kind before training, none of them applied: does the plan hold?"""

import hashlib
import json
import logging
import socket
from pathlib import Path
from typing import Any

import torch

from trainer.config import RunConfig
from trainer.dataset import stack_contexts
from trainer.files import write_atomic
from trainer.memory.account import LiveBytes
from trainer.memory.fallback import RoomyVae
from trainer.placement import device_text, empty_cache
from trainer.preparation import Prepared
from trainer.preview import Previewer
from trainer.randomness import normal
from trainer.sampling import vae_factor
from trainer.step import MicroBatch, accumulate_gradient

log = logging.getLogger(__name__)
STEPS = 2
"""In the second one all that stays is there already."""
REMEMBERED = 32


class Probe:
    """Tries the largest pictures with the longest context, and a preview's decoding.

    Args:
        prepared: All that a step needs, the network attached.
        optimizer: Whose state will take memory, too.
        previewer: Draws the previews.
    """

    def __init__(self, prepared: Prepared, optimizer: torch.optim.Optimizer, previewer: Previewer) -> None:
        self._prepared = prepared
        self._optimizer = optimizer
        self._previewer = previewer
        self._device = prepared.denoiser.device

    def is_due(self, cache: Path) -> bool:
        """Tell whether to try: where memory is limited, unless the same was tried on this machine and held.

        Args:
            cache: The project's cache, which remembers what held.
        """
        settings = self._prepared.config
        self._memory = cache / "probes.json"
        if settings.recovery.probe != "auto":
            return settings.recovery.probe == "always"
        limited = self._device.type != "cpu" or settings.memory.vram_limit_bytes is not None
        return limited and not self._held_before()

    def run(self) -> None:
        """Try.

        Raises:
            RuntimeError: what doesn't hold, as a step would raise it.
        """
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        try:
            self._steps()
            if self._prepared.config.preview.every:
                self._decoding()
        finally:
            self._optimizer.zero_grad(set_to_none=True)
            empty_cache(self._device)
        self._remember()

    def _steps(self) -> None:
        moments = [] if self._optimizer.state else self._moments()
        scaler = torch.amp.GradScaler(self._device.type, enabled=False)
        config = self._prepared.config
        for _ in range(STEPS):
            accumulate_gradient(self._prepared.denoiser, self._batches(), config.training.batch_size, scaler)
        del moments

    def _moments(self) -> list[torch.Tensor]:
        """Return tensors in place of the optimizer's moments, which its first step will make."""
        parameters = [each for group in self._optimizer.param_groups for each in group["params"]]
        return [torch.empty_like(parameter) for parameter in parameters for _ in range(2)]

    def _batches(self) -> list[MicroBatch]:
        """Return one micro-batch as large as any of the run, as often as a step has some, twice at most."""
        inputs, config = self._prepared.inputs, self._prepared.config
        batch_size = config.training.batch_size
        count = min(config.memory.micro_batch or batch_size, batch_size)
        largest = max(inputs.posteriors, key=lambda posterior: posterior.mean_CHW.numel())
        longest = max(self._prepared.contexts.kept.values(), key=len)
        shape = tuple(largest.mean_CHW.shape)
        weight = largest.weight_HW
        batch = MicroBatch(
            torch.stack([largest.mean_CHW] * count),
            torch.stack([normal(shape, config.seed, "probe", place) for place in range(count)]),
            torch.full((count,), inputs.num_timesteps // 2),
            stack_contexts([longest] * count),
            None if weight is None else torch.stack([weight] * count),
        )
        return [batch] * min(2, -(-batch_size // count))

    @torch.no_grad()
    def _decoding(self) -> None:
        prepared = self._prepared
        factor = vae_factor(prepared.base.vae)
        width, height = self._previewer.size
        latents_BCHW = torch.zeros(1, prepared.base.unet.config.in_channels, height // factor, width // factor)
        vae = RoomyVae(prepared.base.vae, self._device, log.info)
        try:
            vae.decode(latents_BCHW)
        finally:
            vae.put_away()

    def _held_before(self) -> bool:
        known = _read(self._memory).get(self._key())
        if known is None:
            return False
        peak, limit = int(known), self._prepared.config.memory.vram_limit_bytes
        if self._device.type != "cuda":
            return limit is not None and peak <= limit
        free = torch.cuda.mem_get_info(self._device)[0] + torch.cuda.memory_reserved(self._device)
        return peak <= (free if limit is None else min(free, limit))

    def _remember(self) -> None:
        peak = self._peak()
        if peak is None:
            return
        known = {**_read(self._memory), self._key(): peak}
        kept = dict(list(known.items())[-REMEMBERED:])
        self._memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._memory, json.dumps(kept, indent=1) + "\n")

    def _peak(self) -> int | None:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        mode = torch.utils._python_dispatch._get_current_dispatch_mode()
        return mode.peak if isinstance(mode, LiveBytes) else None

    def _key(self) -> str:
        config = self._prepared.config
        facts = [socket.gethostname(), device_text(self._device), torch.__version__, self._prepared.model_key]
        facts += [_costs(config), *(str(dim) for dim in self._prepared.net.dims)]
        facts.append(str(max(posterior.mean_CHW.numel() for posterior in self._prepared.inputs.posteriors)))
        facts.append(str(max(len(context_LD) for context_LD in self._prepared.contexts.kept.values())))
        return hashlib.sha256("\x1f".join(facts).encode()).hexdigest()[:24]


def _costs(config: RunConfig) -> str:
    """Return the settings that memory hangs on."""
    memory = config.memory.model_dump(exclude={"vram_limit", "threads"})
    network = config.network.model_dump(exclude={"start_from", "zero_last_layer", "initialization"})
    return json.dumps([memory, network, config.training.batch_size, config.data.size, bool(config.preview.every)])


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}
