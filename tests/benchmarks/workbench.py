"""A real `Training` on a real UNet, with random latents and contexts in place of pictures and a text encoder."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch import Tensor

from trainer.base_model.configs import shipped_config
from trainer.caching import Contexts, Progress, TensorCache
from trainer.captions.templates import load_template
from trainer.config import RunConfig
from trainer.config.presets import load_preset
from trainer.config.read import build_config
from trainer.dataset import Posterior, SampleOrder, StepInputs, TrainingPicture
from trainer.demo.assets import demo_model_dir
from trainer.diffusion import Diffusion
from trainer.hypernetwork import Hypernetwork, Structure, unet_dims
from trainer.obeying import obey
from trainer.preparation import Prepared, learning_rate
from trainer.run.control import Commands
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest
from trainer.step import Denoiser
from trainer.training import Training

ModelName = Literal["demo", "sd15"]
PICTURES = 16
NEVER_S = 1e9


@dataclass
class Workbench:
    """A run that is ready for its next step, and the UNet by itself for the floor."""

    training: Training
    unet: Any
    pictures: int
    """In a batch."""
    side: int
    """Of the latents."""
    tokens: int

    def one_step(self) -> None:
        """Do what the loop does from one step to the next while nothing is due: obey, step, record."""
        obey(self.training)
        self.training._one_step()
        self.training._occasions()

    def floor_inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return (latents, which ask for a gradient; timesteps; context) for the UNet alone."""
        latents_BCHW = torch.randn(self.pictures, 4, self.side, self.side, requires_grad=True)
        timesteps_B = torch.randint(1000, (self.pictures,))
        return latents_BCHW, timesteps_B, torch.randn(self.pictures, self.tokens, self.unet.config.cross_attention_dim)

    def weights(self) -> list[Tensor]:
        """Return what lives through all steps."""
        return [*self.unet.parameters(), *self.unet.buffers(), *self.training.net.parameters()]


@contextmanager
def workbench(model: ModelName) -> Iterator[Workbench]:
    """Make a run in a temporary folder: the demo's settings, or the recommended ones with structure 1,2,1 at 256 px."""
    unet = _demo_unet() if model == "demo" else _random_sd15_unet()
    config, tokens = _config(model), 32 if model == "demo" else 77
    side = config.data.size // (4 if model == "demo" else 8)
    root = Path(tempfile.mkdtemp(prefix="hypernet-bench-"))
    try:
        folder = RunFolder.create(root / "output", config.name, date.today())
        with EventWriter(folder.events_file) as events:
            prepared = _prepared(config, unet, side, tokens, root)
            training = Training(prepared, folder, events, Commands(folder, events), StopRequest())
            training.state_time = time.monotonic()
            yield Workbench(training, unet, config.training.batch_size, side, tokens)
    finally:
        shutil.rmtree(root)


def _config(model: ModelName) -> RunConfig:
    preset = load_preset("demo" if model == "demo" else "recommended").settings
    ours: dict[str, Any] = {
        "name": "bench",
        "training": {"steps": 5000},
        "save": {"every": 0, "state_every_s": NEVER_S},
        "preview": {"every": 0},
        "validation": {"every": 0},
        "memory": {"device": "cpu"},
    }
    small = {} if model == "demo" else {"data": {"size": 256}, "training": {"steps": 5000, "batch_size": 1}}
    return build_config(preset, ours, small)


def _prepared(config: RunConfig, unet: Any, side: int, tokens: int, root: Path) -> Prepared:
    generator = torch.Generator().manual_seed(0)
    pictures = [
        TrainingPicture(root / f"{i}.png", f"picture number {i}", hashlib.sha256(str(i).encode()).hexdigest())
        for i in range(PICTURES)
    ]
    order = SampleOrder(
        pictures, load_template(config.data.template), config.name, config.data, config.training.batch_size, config.seed
    )

    def encode(prompts: Sequence[str], _progress: Progress) -> list[Tensor]:
        return [torch.randn(tokens, unet.config.cross_attention_dim, generator=generator) for _ in prompts]

    contexts = Contexts(encode, TensorCache(root / "cache"), ("random",))
    diffusion = _diffusion()
    last_step = learning_rate(config, 0).last_step
    inputs = StepInputs(
        order,
        [Posterior(torch.randn(4, side, side, generator=generator), torch.ones(4, side, side)) for _ in pictures],
        lambda step: contexts.of_step(order, step, last_step),
        diffusion.num_timesteps,
        config.training.noise_offset,
    )
    network = config.network
    structure = Structure(network.layer_structure, network.activation)
    net = Hypernetwork.create(unet_dims(unet), structure, seed=0, name=config.name)
    denoiser = Denoiser(unet, diffusion, torch.device("cpu"), torch.float32, config.training.min_snr_gamma)
    base: Any = SimpleNamespace(unet=unet)
    return Prepared(
        config=config,
        base=base,
        net=net,
        denoiser=denoiser,
        inputs=inputs,
        contexts=contexts,
        validator=None,
        first_step=0,
        last_step=last_step,
        num_pictures=PICTURES,
        model_key="random",
        warnings=[],
    )


def _diffusion() -> Diffusion:
    alphas_T = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    return Diffusion(alphas_T.sqrt(), (1 - alphas_T).sqrt(), "epsilon")


def _demo_unet() -> Any:
    from trainer.base_model.load import load_base_model

    return load_base_model(demo_model_dir(), dtype=torch.float32, parts=("unet",)).unet


def _random_sd15_unet() -> Any:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from tests.support.checkpoints import RandomWeights

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(shipped_config("sd1", "epsilon", "unet"))
    weights = RandomWeights(torch.float32, seed=0)
    state = {name: weights.make(name, tuple(empty.shape)) for name, empty in unet.state_dict().items()}
    unet.load_state_dict(state, assign=True)
    return unet.requires_grad_(False).eval()
