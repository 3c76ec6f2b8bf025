"""All that only a GPU can tell about memory, in one go: `python tests/gpu/check.py` prints JSON.

For Stable Diffusion 1.5 at 512 px and 2.1 at 768 px, full size with random weights: each rung's peak as predicted, as
torch's allocator and as the driver see it, its seconds a step and its losses, in every precision; the rung that runs
under a capped allocator; and memory that really runs out, in a step and in a preview. Every case is a process of its
own. `--device cpu --tiny` tries this script itself on the demo model's sizes, with an account in place of a GPU.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainer.config import RunConfig
from trainer.diffusion import Diffusion
from trainer.faults import is_out_of_memory
from trainer.hypernetwork import Hypernetwork, Structure, attach, unet_dims
from trainer.memory.account import LiveBytes
from trainer.memory.apply import arithmetic, make_optimizer, place_unet
from trainer.memory.fallback import RoomyVae
from trainer.memory.measure import Architecture, architectures, materialise
from trainer.memory.network import NetworkSize
from trainer.memory.predict import Predictor
from trainer.memory.rungs import Ladder
from trainer.memory.stored import frozen_tensors
from trainer.memory.table import load_table
from trainer.memory.target import Target
from trainer.memory.ways import own_way, with_way
from trainer.placement import choose_dtype, empty_cache
from trainer.step import Denoiser, MicroBatch, accumulate_gradient

ASIDE: dict[str, Any] = {"gradient_checkpointing": True, "optimizer_on_host": True}
RUNGS: dict[str, dict[str, Any]] = {
    "full": {},
    "micro-batch": {"micro_batch": 1},
    "checkpointing": {"gradient_checkpointing": True},
    "medvram 8-bit": {**ASIDE, "weights": "8bit"},
    "medvram half": {**ASIDE, "offload": "half"},
    "lowvram": {**ASIDE, "offload": "all"},
}
STEPS = {"cuda": 6, "cpu": 2}
CAPS_GIB = (8, 6, 4, 3, 2)
TINY_CAPS_MIB = (64, 8)
RATE = 1e-4


@dataclass(frozen=True)
class Case:
    """One measurement."""

    what: str
    """step or preview."""
    family: str
    size_px: int
    precision: str = "fp16"
    batch: int = 2
    memory: dict[str, Any] = field(default_factory=dict)
    cap_bytes: int | None = None
    device: str = "cuda"

    @property
    def config(self) -> RunConfig:
        """The settings it stands for."""
        memory = {"precision": self.precision, "device": "auto", **self.memory}
        training = {"batch_size": self.batch}
        return RunConfig.model_validate({"data": {"size": self.size_px}, "training": training, "memory": memory})


class CappedBytes(LiveBytes):
    """Stands for a capped allocator on the CPU."""

    def __init__(self, besides: list[Tensor], cap_bytes: int | None) -> None:
        super().__init__(besides)
        self.cap_bytes = cap_bytes
        self.live = self.peak = sum(tensor.numel() * tensor.element_size() for tensor in besides)

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) not in self._seen and self.cap_bytes and self.live + storage.nbytes() > self.cap_bytes:
            raise torch.OutOfMemoryError(f"out of memory: {storage.nbytes()} bytes beyond {self.live}")
        super()._count(storage)


def measure(case: Case) -> dict[str, Any]:
    """Carry out one case in this process."""
    device = torch.device(case.device)
    if device.type == "cuda" and case.cap_bytes:
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, case.cap_bytes / total), device)
    torch.manual_seed(0)
    try:
        figures = _preview(case, device) if case.what == "preview" else _steps(case, device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        figures = {"outcome": "out of memory", "said": str(error).splitlines()[0]}
    return {**asdict(case), **figures}


def _steps(case: Case, device: torch.device) -> dict[str, Any]:
    config, architecture = case.config, _architecture(case.family)
    dtype = choose_dtype(config.memory, device)
    unet = _random(_unet_class(), architecture.unet, dtype)
    place_unet(unet, config.memory, device)
    net = Hypernetwork.create(unet_dims(unet), Structure(), seed=0).train().to(device)
    optimizer = make_optimizer(list(net.parameters()), config.optimizer, config.memory)
    optimizer.param_groups[0]["lr"] = RATE
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, device=device).square()
    signal = (1 - betas).cumprod(0)
    denoiser = Denoiser(unet, Diffusion(signal.sqrt(), (1 - signal).sqrt(), "epsilon"), device, dtype)
    losses, seconds = [], []
    with arithmetic(config.memory), attach(unet, [(net, 1.0)]), _held(case, device, unet, net) as account:
        for number in range(STEPS[device.type]):
            started = time.perf_counter()
            batches = _batches(case, architecture, number)
            losses.append(accumulate_gradient(denoiser, batches, case.batch, scaler).loss)
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            seconds.append(time.perf_counter() - started)
    return {"outcome": "ran", "losses": losses, "step_s": min(seconds[1:]), **_peaks(case, device, account)}


def _preview(case: Case, device: torch.device) -> dict[str, Any]:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    architecture = _architecture(case.family)
    vae = _random(AutoencoderKL, architecture.vae, torch.float32)
    side = case.size_px // architecture.pixels_per_latent
    told: list[str] = []
    roomy = RoomyVae(vae, device, told.append)
    with torch.no_grad(), _held(case, device, vae, None) as account:
        roomy.decode(torch.randn(1, 4, side, side))
    return {"outcome": "ran", "way": roomy.way, "told": told, **_peaks(case, device, account)}


@contextmanager
def _held(case: Case, device: torch.device, module: Any, net: Any) -> Iterator[CappedBytes | None]:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield None
        torch.cuda.synchronize(device)
        return
    with CappedBytes([*frozen_tensors(module), *(net.parameters() if net else ())], case.cap_bytes) as account:
        yield account


def _peaks(case: Case, device: torch.device, account: CappedBytes | None) -> dict[str, Any]:
    figures = load_table()[case.family]
    config = case.config
    half = choose_dtype(config.memory, device) != torch.float32
    target = Target("cuda", case.device, None, None, "half" if half else "fp32")
    predictor = Predictor(config, figures, NetworkSize.of(config.network, figures.dims), target)
    parts = predictor.parts(own_way(config))
    measured: dict[str, Any] = {"allocated_bytes": account.peak if account else torch.cuda.max_memory_allocated(device)}
    if account is None:
        free, total = torch.cuda.mem_get_info(device)
        measured |= {"reserved_bytes": torch.cuda.max_memory_reserved(device), "driver_bytes": total - free}
    if case.what == "step":
        measured |= {"predicted": asdict(parts), "predicted_allocated_bytes": parts.allocated}
        measured["predicted_to_measured"] = parts.allocated / measured["allocated_bytes"]
    empty_cache(device)
    return measured


def _batches(case: Case, architecture: Architecture, number: int) -> Iterator[MicroBatch]:
    generator = torch.Generator().manual_seed(number)
    side = case.size_px // architecture.pixels_per_latent
    latents, noise = torch.randn(2, case.batch, 4, side, side, generator=generator).unbind()
    context = torch.randn(
        case.batch, architecture.tokens, architecture.unet["cross_attention_dim"], generator=generator
    )
    timesteps = torch.randint(1000, (case.batch,), generator=generator)
    size = own_way(case.config).micro_batch
    for parts in zip(*(tensor.split(size) for tensor in (latents, noise, timesteps, context)), strict=True):
        yield MicroBatch(*parts, None)


def _random(kind: Any, config: dict[str, Any], dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        module = kind(**{name: value for name, value in config.items() if not name.startswith("_")})
    materialise(module.requires_grad_(False), dtype)
    for name, parameter in module.named_parameters():
        parameter.data.normal_(0, 0.02) if parameter.ndim > 1 else parameter.data.fill_(float("norm" in name))
    return module.eval()


def _unet_class() -> Any:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel


def _architecture(name: str) -> Architecture:
    return next(each for each in architectures() if each.name == name)


def run(case: Case) -> dict[str, Any]:
    """Carry out one case: on a GPU in a process of its own, since memory that ran out may break it."""
    if case.device == "cpu":
        return measure(case)
    command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {**asdict(case), "outcome": "failed", "said": done.stderr[-2000:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cases(device: str, tiny: bool) -> Iterator[tuple[str, Case]]:
    """Yield (group, case) for all that is measured."""
    models = [("demo", 64)] if tiny else [("sd1", 512), ("sd2", 768)]
    precisions = ["fp32", "bf16"] if device == "cpu" else ["fp32", "tf32", "fp16", "bf16"]
    half = precisions[-1]
    for family, size in models:
        for name, memory in RUNGS.items():
            yield f"rung {name}", Case("step", family, size, half, memory=memory, device=device)
        for precision in precisions[: 1 if tiny else None]:
            yield f"precision {precision}", Case("step", family, size, precision, device=device)
        for batch in () if tiny else (1, 4, 8):
            yield f"batch {batch}", Case("step", family, size // 2, half, batch, device=device)
        yield "preview", Case("preview", family, size, "fp32", device=device)


def capped(device: str, tiny: bool) -> Iterator[dict[str, Any]]:
    """Go down the ladder under each cap, as a run does: the predicted rung first, then what lies below it."""
    models = [("demo", 64)] if tiny else [("sd1", 512), ("sd2", 768)]
    half = "bf16" if device == "cpu" else "fp16"
    for family, size in models:
        for cap in [n << 20 for n in TINY_CAPS_MIB] if tiny else [n << 30 for n in CAPS_GIB]:
            tried = []
            for memory in _ladder(Case("step", family, size, half), cap):
                found = run(Case("step", family, size, half, memory=memory, cap_bytes=cap, device=device))
                tried.append(found)
                if found["outcome"] == "ran":
                    break
            yield {"family": family, "cap_bytes": cap, "runs": tried[-1]["outcome"] == "ran", "tried": tried}
        yield {
            "preview": run(
                Case("preview", family, size, "fp32", cap_bytes=(3 << 20) if tiny else (1 << 30), device=device)
            )
        }


def _ladder(case: Case, cap: int) -> Iterator[dict[str, Any]]:
    figures = load_table()[case.family]
    config = case.config
    target = Target("cuda", "capped", cap, cap, "half", limited=True)
    rungs = Ladder(Predictor(config, figures, NetworkSize.of(config.network, figures.dims), target)).rungs()
    names = ("micro_batch", "gradient_checkpointing", "weights", "offload", "optimizer_on_host")
    same_size = [rung for rung in rungs if not rung.smaller]
    start = next((i for i, rung in enumerate(same_size) if rung.fits(cap)), len(same_size) - 1)
    for rung in same_size[start:]:
        memory = with_way(config, rung.way).memory
        yield {name: getattr(memory, name) for name in names}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="the demo model's sizes")
    parser.add_argument("--case", help="one case as JSON, in this process")
    options = parser.parse_args(arguments)
    if options.case:
        found = measure(Case(**json.loads(options.case)))
    else:
        name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
        found = {"device": name, "torch": torch.__version__}
        found["cases"] = [{"group": group, **run(case)} for group, case in cases(options.device, options.tiny)]
        found["capped"] = list(capped(options.device, options.tiny))
    print(json.dumps(found))
    return found


if __name__ == "__main__":
    main()
