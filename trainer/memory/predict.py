"""Peaks of memory for one model, network and device, by part."""

from dataclasses import dataclass

from trainer.config import RunConfig
from trainer.memory.network import NetworkSize
from trainer.memory.table import BYTES, Architecture, window_bytes
from trainer.memory.target import Target
from trainer.memory.ways import Way

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
class Predictor:
    """Predicts peaks for one model, network and device."""

    config: RunConfig
    architecture: Architecture
    network: NetworkSize
    target: Target
    scale: float = 1.0
    """What activations took on this machine, relative to the table."""

    def parts(self, way: Way) -> Parts:
        """Return what lives at the peak of a step."""
        count = self.accumulation(way)
        weights = self.network.weight_bytes
        activations = self._activations(way)
        # The optimizer's own peak, with all gradients but no activations, is higher for large networks.
        activations = max(activations, 0 if count > 1 else weights)
        return Parts(
            unet=self.unet_bytes(way),
            network=weights,
            optimizer=self._optimizer_bytes(way),
            gradients=weights if count > 1 else 0,
            activations=activations,
            workspace=self._workspace(activations),
            context=self._context(),
        )

    def unet_bytes(self, way: Way) -> int:
        """Return the bytes of the frozen UNet's weights on the device, with the place for fetched layers."""
        item, layers, in_8bit = BYTES[self.target.precision], self.architecture.frozen, way.weights == "8bit"
        rest = item * (self.architecture.unet_parameters - layers.parameters)
        whole = layers.bytes_of(item, in_8bit=in_8bit)
        if way.offload == "none":
            return rest + whole
        away = layers.bytes_of(item, in_8bit=in_8bit, half=way.offload == "half")
        window = window_bytes(away, layers.largest * (1 if in_8bit else item))
        return rest + whole + window - (0 if self.target.shares_ram else away)

    def _optimizer_bytes(self, way: Way) -> int:
        away = way.optimizer_on_host and not self.target.shares_ram
        return 0 if away else 2 * self.network.weight_bytes

    def preview_bytes(self, way: Way) -> int:
        """Return what must be free for a preview: sampling with guidance, then the VAE's decoder beside the UNet."""
        preview, size = self.config.preview, self.config.data.size
        area = (preview.width or size) * (preview.height or size)
        sampling = self.architecture.preview_bytes(self.target.precision, area)
        decoding = self.architecture.vae_bytes("decode", area)
        if self.target.kind == "cuda":
            decoding += 4 * self.architecture.vae_parameters
        live = int(max(sampling, decoding))
        resident = self.unet_bytes(way) + self.network.weight_bytes + self._optimizer_bytes(way)
        return resident + live + self._workspace(live) + self._context()

    def caching_bytes(self) -> int:
        """Return what must be free while latents and contexts are computed, the UNet being elsewhere."""
        encoding = int(self.architecture.vae_bytes("encode", self.config.data.size**2))
        text = BYTES[self.target.precision] * self.architecture.text_parameters
        live = max(encoding + 4 * self.architecture.vae_parameters, text)
        if self.target.kind != "cuda":
            live = encoding + BYTES[self.target.precision] * self.architecture.unet_parameters
        return live + self._workspace(encoding) + self._context()

    def accumulation(self, way: Way) -> int:
        """Return the micro-batches of an optimizer step."""
        return -(-self.config.training.batch_size // way.micro_batch)

    def _activations(self, way: Way) -> int:
        precision, area = self.target.precision, way.size_px**2
        known = self.architecture.step_bytes(way.technique, precision, way.micro_batch, area)
        beyond = self.network.beyond_reference(self.architecture, precision, area, one=way.checkpointing)
        copies = self.network.half_copies_beyond_reference(self.architecture) if precision == "half" else 0
        step = self.scale * (known + way.micro_batch * beyond) + copies
        if not way.checkpointing:
            return int(max(step, 0))
        # Few activations: then the peak comes late in backward, from gradients, in half precision once more.
        return int(max(step, self.network.weight_bytes * (1.5 if precision == "half" else 1.0)))

    def _workspace(self, live: int) -> int:
        if self.target.limited:
            return 0
        if self.target.kind == "cuda":
            return CUDA_WORKSPACE_BYTES + int(FRAGMENTATION * live)
        return CPU_WORKSPACE_BYTES

    def _context(self) -> int:
        if self.target.limited:
            return 0
        if self.target.kind == "cuda":
            return CUDA_CONTEXT_BYTES
        text = BYTES[self.target.precision] * self.architecture.text_parameters
        return CPU_PROCESS_BYTES + 4 * self.architecture.vae_parameters + text
