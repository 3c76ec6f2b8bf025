"""The ladder: ways to compute the same step in less memory, each with its predicted peak."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from trainer.config import RunConfig
from trainer.memory.network import NetworkSize
from trainer.memory.table import BYTES, Architecture
from trainer.memory.target import Target

MIB = 1 << 20
CUDA_CONTEXT_BYTES = 450 * MIB
"""CUDA context and loaded kernels: an estimate, it differs between cards and drivers."""
CUDA_WORKSPACE_BYTES = 96 * MIB
"""cuBLAS and cuDNN scratch: an estimate, as is the share lost between blocks."""
FRAGMENTATION = 0.05
CPU_WORKSPACE_BYTES = 512 * MIB
"""Scratch of oneDNN and malloc; real CPU runs took 0.37 to 0.62 GiB more than their tensors."""
CPU_PROCESS_BYTES = 384 * MIB
"""Python with torch and diffusers loaded."""
SMALLER_SIZES_PX = (384, 256)


@dataclass(frozen=True)
class Way:
    """How a step is computed."""

    micro_batch: int
    """Pictures at once."""
    checkpointing: bool
    size_px: int

    @property
    def technique(self) -> str:
        """Its name in the table of peaks."""
        return "checkpointing" if self.checkpointing else "full"


@dataclass(frozen=True)
class Parts:
    """What lives at the peak of a step, in bytes."""

    unet: int
    network: int
    """Weights, float32."""
    optimizer: int
    """AdamW's two moments."""
    gradients: int
    """Those of earlier micro-batches; with only one they grow as activations go, and don't add to the peak."""
    activations: int
    workspace: int
    context: int
    """CUDA's own, or the process with VAE and text encoder where all shares the RAM."""

    @property
    def allocated(self) -> int:
        """What torch's allocator counts (`max_memory_allocated`)."""
        return self.unet + self.network + self.optimizer + self.gradients + self.activations

    @property
    def total(self) -> int:
        """What must be free on the device."""
        return self.allocated + self.workspace + self.context


@dataclass(frozen=True)
class Rung:
    """A way to compute the step, with what it takes."""

    name: str
    """full, micro-batch, checkpointing, or the smaller size."""
    way: Way
    accumulation: int
    """Micro-batches per optimizer step."""
    parts: Parts
    as_set: bool
    """Whether it is what the settings ask for."""

    def fits(self, free_bytes: int | None) -> bool | None:
        """Tell whether it fits; None where free memory is unknown."""
        return None if free_bytes is None else self.parts.total <= free_bytes


@dataclass(frozen=True)
class Predictor:
    """Predicts peaks for one model, network and device."""

    config: RunConfig
    architecture: Architecture
    network: NetworkSize
    target: Target

    def parts(self, way: Way) -> Parts:
        """Return what lives at the peak of a step."""
        count = self._accumulation(way)
        weights = self.network.weight_bytes
        activations = self._activations(way)
        # The optimizer's own peak, with all gradients but no activations, is higher for large networks.
        activations = max(activations, 0 if count > 1 else weights)
        return Parts(
            unet=self.unet_bytes,
            network=weights,
            optimizer=2 * weights,
            gradients=weights if count > 1 else 0,
            activations=activations,
            workspace=self._workspace(activations),
            context=self._context(),
        )

    @property
    def unet_bytes(self) -> int:
        """Of the frozen UNet's weights."""
        return BYTES[self.target.precision] * self.architecture.unet_parameters

    def preview_bytes(self) -> int:
        """Return what must be free for a preview: sampling with guidance, then the VAE's decoder beside the UNet."""
        preview, size = self.config.preview, self.config.data.size
        area = (preview.width or size) * (preview.height or size)
        sampling = self.architecture.preview_bytes(self.target.precision, area)
        decoding = self.architecture.vae_bytes("decode", area)
        if self.target.kind == "cuda":
            decoding += 4 * self.architecture.vae_parameters
        live = int(max(sampling, decoding))
        resident = self.unet_bytes + 3 * self.network.weight_bytes
        return resident + live + self._workspace(live) + self._context()

    def caching_bytes(self) -> int:
        """Return what must be free while latents and contexts are computed, the UNet being elsewhere."""
        encoding = int(self.architecture.vae_bytes("encode", self.config.data.size**2))
        text = BYTES[self.target.precision] * self.architecture.text_parameters
        live = max(encoding + 4 * self.architecture.vae_parameters, text)
        if self.target.kind != "cuda":
            live = encoding + self.unet_bytes
        return live + self._workspace(encoding) + self._context()

    def rungs(self) -> list[Rung]:
        """Return the ladder, costliest in memory first; what is set stands in it at its place or before it."""
        own = own_way(self.config)
        rungs = [self._rung(way, own) for way in self._ladder(own)]
        return rungs if any(rung.as_set for rung in rungs) else [self._rung(own, own), *rungs]

    def _ladder(self, own: Way) -> Iterator[Way]:
        batch = self.config.training.batch_size
        full = Way(batch, False, own.size_px)
        yield full
        if batch > 1:
            yield self._largest(full, below=batch)
        yield self._largest(replace(full, checkpointing=True))
        for size in SMALLER_SIZES_PX:
            if size < own.size_px:
                yield self._cheapest(replace(full, size_px=size))

    def _cheapest(self, full: Way) -> Way:
        ways = (full, self._largest(full), self._largest(replace(full, checkpointing=True)))
        return next((way for way in ways if self._fits(way)), ways[0] if self.target.free_bytes is None else ways[-1])

    def _largest(self, way: Way, below: int = 0) -> Way:
        """Return a way with the largest micro-batch (by halves) that fits, or with 1 where none does."""
        sizes = [way.micro_batch]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // 2))
        ways = [replace(way, micro_batch=size) for size in sizes if not below or size < below]
        return next((way for way in ways if self._fits(way)), ways[-1])

    def _fits(self, way: Way) -> bool:
        return self.target.free_bytes is not None and self.parts(way).total <= self.target.free_bytes

    def _rung(self, way: Way, own: Way) -> Rung:
        if way.size_px != own.size_px:
            name = f"{way.size_px} px"
        elif way.checkpointing:
            name = "checkpointing"
        else:
            name = "micro-batch" if way.micro_batch < self.config.training.batch_size else "full"
        return Rung(name, way, self._accumulation(way), self.parts(way), way == own)

    def _accumulation(self, way: Way) -> int:
        return -(-self.config.training.batch_size // way.micro_batch)

    def _activations(self, way: Way) -> int:
        precision, area = self.target.precision, way.size_px**2
        known = self.architecture.step_bytes(way.technique, precision, way.micro_batch, area)
        beyond = self.network.beyond_reference(self.architecture, precision, area, one=way.checkpointing)
        copies = self.network.half_copies_beyond_reference(self.architecture) if precision == "half" else 0
        step = known + way.micro_batch * beyond + copies
        if not way.checkpointing:
            return int(max(step, 0))
        # Few activations: then the peak comes late in backward, from gradients, in half precision once more.
        return int(max(step, self.network.weight_bytes * (1.5 if precision == "half" else 1.0)))

    def _workspace(self, live: int) -> int:
        if self.target.kind == "cuda":
            return CUDA_WORKSPACE_BYTES + int(FRAGMENTATION * live)
        return CPU_WORKSPACE_BYTES

    def _context(self) -> int:
        if self.target.kind == "cuda":
            return CUDA_CONTEXT_BYTES
        text = BYTES[self.target.precision] * self.architecture.text_parameters
        return CPU_PROCESS_BYTES + 4 * self.architecture.vae_parameters + text


def own_way(config: RunConfig) -> Way:
    """Return the way that the settings ask for."""
    batch, memory = config.training.batch_size, config.memory
    micro_batch = min(memory.micro_batch or batch, batch)
    return Way(micro_batch, memory.gradient_checkpointing, config.data.size)


def settings_for(way: Way, config: RunConfig) -> list[str]:
    """Return the settings, as KEY=VALUE, that turn what is set into this way."""
    own, changes = own_way(config), []
    if way.size_px != own.size_px:
        changes.append(f"data.size={way.size_px}")
    if way.micro_batch != own.micro_batch:
        whole = way.micro_batch == config.training.batch_size
        changes.append(f"memory.micro_batch={0 if whole else way.micro_batch}")
    if way.checkpointing != own.checkpointing:
        changes.append(f"memory.gradient_checkpointing={str(way.checkpointing).lower()}")
    return changes
