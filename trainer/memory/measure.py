"""Makes the table of peaks: `python -m trainer.memory.measure` writes `presets/memory/peaks.json`.

The trainer's own step runs on tensors without data, see `trainer.memory.account`; neither a GPU nor weights
are needed. It takes about five minutes of one core; names of architectures, as arguments, limit it to these.
Bytes are those of a step with the reference structure, weights left out: activations, copies in half
precision, and gradients as far as they live at the peak.
"""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer.config.model import MemorySettings
from trainer.diffusion import Diffusion
from trainer.hypernetwork import Hypernetwork, Structure, attach, unet_dims
from trainer.memory.account import LiveBytes, cuda_autocast
from trainer.memory.apply import place_unet, set_checkpointing
from trainer.memory.layers import figures as layer_figures
from trainer.memory.network import REFERENCE
from trainer.memory.stored import frozen_tensors
from trainer.step import Denoiser, MicroBatch

PICTURES = {"full": (1, 2), "checkpointing": (1, 4)}
"""Pictures at once. With checkpointing the line bends where gradients outweigh activations: few, small pictures."""
SIZES_PX = (256, 768)
"""Bytes grow with the area, operations with area and its square, so what lies between needs no measuring."""
DTYPES = {"fp32": torch.float32, "half": torch.bfloat16}
"""bf16 stands for fp16 too: the same bytes."""
TABLE = Path(__file__).parents[2] / "presets" / "memory" / "peaks.json"


@dataclass(frozen=True)
class Architecture:
    """A family of base models and the sizes to tabulate."""

    name: str
    label: str
    unet: dict[str, Any]
    vae: dict[str, Any]
    text_parameters: int
    tokens: int
    sizes_px: tuple[int, ...]

    @property
    def pixels_per_latent(self) -> int:
        """Along a side."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    def attention(self) -> list[tuple[int, int, int]]:
        """Return (divisor of the latents' side, width, number of layers) for each kind of self-attention."""
        config = self.unet
        widths, layers = config["block_out_channels"], config["layers_per_block"]
        kinds: dict[tuple[int, int], int] = {}
        for level, (width, kind) in enumerate(zip(widths, config["down_block_types"], strict=True)):
            kinds[2**level, width] = layers * ("CrossAttn" in kind)
        for level, (width, kind) in enumerate(zip(widths, reversed(config["up_block_types"]), strict=True)):
            kinds[2**level, width] += (layers + 1) * ("CrossAttn" in kind)
        kinds[2 ** (len(widths) - 1), widths[-1]] += 1
        return [(divisor, width, count) for (divisor, width), count in kinds.items() if count]


def architectures() -> list[Architecture]:
    """Return those that the table covers."""
    from trainer.base_model.configs import shipped_config
    from trainer.demo.models import MAX_TOKENS, UNET_CONFIG, VAE_CONFIG

    found = []
    for name, label, prediction in (
        ("sd1", "Stable Diffusion 1.x", "epsilon"),
        ("sd2", "Stable Diffusion 2.x", "v_prediction"),
    ):
        unet, vae, text = (shipped_config(name, prediction, part) for part in ("unet", "vae", "text_encoder"))
        found.append(Architecture(name, label, unet, vae, _text_parameters(text), 77, SIZES_PX))
    found.append(Architecture("demo", "the demo model", UNET_CONFIG, VAE_CONFIG, 500_000, MAX_TOKENS, (32, 64, 128)))
    return found


def _text_parameters(config: dict[str, Any]) -> int:
    """Return the parameters of a CLIP text encoder: embeddings, layers of attention, MLP and two norms, last norm."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    embeddings = (config["vocab_size"] + config["max_position_embeddings"]) * width
    return int(embeddings + config["num_hidden_layers"] * layer + 2 * width)


def materialise(module: nn.Module, dtype: torch.dtype) -> None:
    """Give a module of the meta device storage of `dtype`, fake inside a FakeTensorMode.

    `to` and `to_empty` cannot do it there: fake parameters have weak references, which forbid swapping them.
    """
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            storage = torch.empty(parameter.shape, dtype=dtype)
            setattr(part, name, nn.Parameter(storage, parameter.requires_grad))


@dataclass
class Subject:
    """A frozen UNet and a hypernetwork whose step is measured."""

    unet: Any
    net: Hypernetwork
    tokens: int
    dtype: torch.dtype

    @classmethod
    def make(
        cls,
        architecture: Architecture,
        dtype: torch.dtype,
        structure: Structure = REFERENCE,
        settings: MemorySettings | None = None,
    ) -> "Subject":
        """Make one of random leftovers of memory; inside a FakeTensorMode, of no data at all."""
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        unet = _frozen(UNet2DConditionModel, architecture.unet, dtype)
        place_unet(unet, settings or MemorySettings(), torch.device("cpu"))
        net = Hypernetwork(unet_dims(unet), structure)
        materialise(net, torch.float32)
        return cls(unet, net, architecture.tokens, dtype)

    def step_peak(self, pictures: int, side: int, checkpointing: bool) -> int:
        """Return the peak of forward and backward in bytes, without weights and optimizer state.

        Args:
            pictures: In the micro-batch.
            side: Of the latents.
            checkpointing: Compute activations again in backward.
        """
        set_checkpointing(self.unet, checkpointing)
        self.net.train().zero_grad()
        denoiser, batch = self._denoiser(), self._batch(pictures, side)
        account = LiveBytes(self._weights())
        with attach(self.unet, [(self.net, 1.0)]), cuda_autocast(), account:
            denoiser.loss_B(batch).sum().backward()
        return account.peak

    @torch.no_grad()
    def preview_peak(self, side: int) -> int:
        """Return the peak of one sampling step with guidance (two halves), without weights, in bytes."""
        self.net.eval()
        denoiser, batch = self._denoiser(), self._batch(2, side)
        account = LiveBytes(self._weights())
        with attach(self.unet, [(self.net, 1.0)]), cuda_autocast(), account:
            denoiser.predict(batch.noise_BCHW, batch.timesteps_B, batch.context_BLD)
        return account.peak

    def step_flop(self, side: int) -> tuple[int, int]:
        """Return the operations of one picture's forward, and of forward and backward."""
        self.unet.disable_gradient_checkpointing()
        self.net.train().zero_grad()
        denoiser, batch = self._denoiser(), self._batch(1, side)
        with attach(self.unet, [(self.net, 1.0)]):
            with counting_flop() as forward:
                loss = denoiser.loss_B(batch).sum()
            with counting_flop() as backward:
                loss.backward()
        return forward(), forward() + backward()

    def _denoiser(self) -> Denoiser:
        diffusion = Diffusion(torch.ones(1000), torch.ones(1000), "epsilon")
        return Denoiser(self.unet, diffusion, torch.device("cpu"), self.dtype)

    def _batch(self, pictures: int, side: int) -> MicroBatch:
        latents_BCHW, noise_BCHW = torch.ones(2, pictures, 4, side, side).unbind()
        context_BLD = torch.ones(pictures, self.tokens, self.unet.config.cross_attention_dim)
        return MicroBatch(
            latents_BCHW, noise_BCHW, torch.zeros(pictures, dtype=torch.int64), context_BLD, None, dropout_seed=0
        )

    def _weights(self) -> list[Tensor]:
        return [*frozen_tensors(self.unet), *self.net.parameters()]

    @property
    def resident_bytes(self) -> int:
        """What lives on the device between two steps, the optimizer's state left out."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._weights())


@contextmanager
def counting_flop() -> Iterator[Callable[[], int]]:
    """Count floating-point operations inside this block, attention on the CPU included.

    torch's own counter leaves that out silently; backward of fused attention counts 2.5 times its forward.
    """
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    def forward(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(q, k, v))

    def backward(grad: Any, q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_backward_flop_count(grad, q, k, v))

    aten = torch.ops.aten
    mapping: dict[Any, Any] = {
        aten._scaled_dot_product_flash_attention_for_cpu: forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }
    counter = FlopCounterMode(display=False, custom_mapping=mapping)
    with counter:
        yield lambda: int(counter.get_total_flops())


def _empty_unet(architecture: Architecture) -> Any:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(**{k: v for k, v in architecture.unet.items() if not k.startswith("_")})


def _frozen(kind: Any, config: dict[str, Any], dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        module = kind(**{name: value for name, value in config.items() if not name.startswith("_")})
    materialise(module.requires_grad_(False), dtype)
    return module


@torch.no_grad()
def vae_peaks(architecture: Architecture, side: int) -> dict[str, int]:
    """Return peak bytes, without weights, and operations of the VAE in float32 for one picture."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    vae = _frozen(AutoencoderKL, architecture.vae, torch.float32)
    vae.eval()
    figures = {"parameters": sum(p.numel() for p in vae.parameters())}
    pixels_BCHW = torch.ones(1, 3, side * architecture.pixels_per_latent, side * architecture.pixels_per_latent)
    latents_BCHW = torch.ones(1, 4, side, side)
    for name, run, input_BCHW in (("decode", vae.decode, latents_BCHW), ("encode", vae.encode, pixels_BCHW)):
        account = LiveBytes(vae.parameters())
        with account, counting_flop() as flop:
            run(input_BCHW)
        figures |= {name: account.peak, f"{name}_flop": flop()}
    return figures


def tabulate(architecture: Architecture, say: Callable[[str], None]) -> dict[str, Any]:
    """Return an architecture's part of the table."""
    sides = {str(size): size // architecture.pixels_per_latent for size in architecture.sizes_px}
    steps: dict[str, Any] = {rung: {} for rung in PICTURES}
    preview: dict[str, Any] = {}
    flop: dict[str, Any] = {}
    empty = _empty_unet(architecture)
    with FakeTensorMode():
        for precision, dtype in DTYPES.items():
            subject = Subject.make(architecture, dtype)
            for rung, counts in PICTURES.items():
                steps[rung][precision] = {
                    size: {str(count): subject.step_peak(count, side, rung == "checkpointing") for count in counts}
                    for size, side in sides.items()
                }
                say(f"{architecture.name} {rung} {precision}")
            preview[precision] = {size: subject.preview_peak(side) for size, side in sides.items()}
            if precision == "fp32":
                flop = {size: subject.step_flop(side) for size, side in sides.items()}
            del subject
            gc.collect()
        vae = {size: vae_peaks(architecture, side) for size, side in sides.items()}
    say(f"{architecture.name} preview, VAE and operations")
    return {
        "label": architecture.label,
        "context_dim": architecture.unet["cross_attention_dim"],
        "tokens": architecture.tokens,
        "pixels_per_latent": architecture.pixels_per_latent,
        "attention": architecture.attention(),
        "unet_parameters": sum(p.numel() for p in empty.parameters()),
        "vae_parameters": next(iter(vae.values()))["parameters"],
        "text_parameters": architecture.text_parameters,
        "frozen": asdict(layer_figures(empty)),
        "step": steps,
        "preview": preview,
        "decode": {size: figures["decode"] for size, figures in vae.items()},
        "encode": {size: figures["encode"] for size, figures in vae.items()},
        "forward_flop": {size: figures[0] for size, figures in flop.items()},
        "step_flop": {size: figures[1] for size, figures in flop.items()},
        "decode_flop": {size: figures["decode_flop"] for size, figures in vae.items()},
        "encode_flop": {size: figures["encode_flop"] for size, figures in vae.items()},
    }


def main() -> None:
    """Write the table."""
    import diffusers

    from trainer.files import write_atomic

    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    table = json.loads(TABLE.read_text("utf-8")) if wanted and TABLE.is_file() else {"architectures": {}}
    TABLE.parent.mkdir(exist_ok=True)
    for architecture in architectures():
        if wanted and architecture.name not in wanted:
            continue
        table["architectures"][architecture.name] = tabulate(architecture, print)
        table |= {
            "schema_version": 1,
            "made_with": f"torch {torch.__version__}, diffusers {diffusers.__version__}",
            "structure": REFERENCE.layer_structure,
        }
        write_atomic(TABLE, json.dumps(table, indent=1) + "\n")
    print(f"{TABLE}: {TABLE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
