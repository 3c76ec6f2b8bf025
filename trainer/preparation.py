"""From a configuration to everything that training needs: model, network, latents, contexts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.base_model.hashes import checkpoint_name, content_key, models_folder, short_hash
from trainer.base_model.load import BaseModel, load_base_model
from trainer.base_model.text_encoding import encode_prompts
from trainer.caching import Contexts, Progress, TensorCache, cached_posteriors, weight_from_alpha
from trainer.captions.templates import fill, load_template
from trainer.config import RunConfig
from trainer.dataset import Posterior, SampleOrder, StepInputs, TrainingPicture, hold_out
from trainer.dataset_files import find_training_pictures, load_pixels
from trainer.diffusion import Diffusion
from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, Structure, load
from trainer.memory.account import arrived, on_host
from trainer.memory.apply import place_unet
from trainer.memory.fallback import RoomyEncoder, RoomyVae
from trainer.memory.stored import frozen_tensors
from trainer.placement import choose_device, choose_dtype, idle_settings
from trainer.schedule import Schedule
from trainer.step import Denoiser
from trainer.text import printable
from trainer.validation import Validator, choose_measured, stratified_timesteps, without_mirror_image

LONG_CHUNKS = 3
Phase = Callable[[str, int, int], None]
"""Told (phase, done, total)."""


@dataclass
class Prepared:
    """All that the loop and the previews work with."""

    config: RunConfig
    base: BaseModel
    net: Hypernetwork
    denoiser: Denoiser
    inputs: StepInputs
    contexts: Contexts
    validator: Validator | None
    first_step: int
    """Steps that the network had already made."""
    last_step: int
    num_pictures: int
    model_key: str
    """What identifies the base model's content."""
    warnings: list[str]


def prepare(config: RunConfig, project_root: Path, phase: Phase, resumed_at: int | None = None) -> Prepared:
    """Load the model, make or load the network, and compute latents and contexts that aren't cached.

    Raises:
        AppError: whatever a user can mend: no pictures, a bad model, a network of other dimensions.
    """
    device = choose_device(config.memory)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dtype = choose_dtype(config.memory, device)
    pictures, warnings = find_training_pictures(project_root / config.data.folder, config.data)

    warnings += idle_settings(config.memory, device)
    phase("loading the base model", 0, 1)
    model_path = Path(config.model.path)
    with on_host():
        base = load_parts(config, dtype)
    net = make_network(config, base)
    warnings += net.warnings
    schedule_end = learning_rate(config, net.step).last_step
    if config.training.steps <= net.step:
        raise AppError(
            "Nothing to train",
            f"{printable(config.network.start_from)} has already made {net.step:,} steps, and training.steps is "
            f"{config.training.steps:,} in total.",
            f"Set training.steps above {net.step:,}.",
        )
    phase("loading the base model", 1, 1)

    cache = TensorCache(project_root / "cache")
    posteriors = _posteriors(config, RoomyVae(base.vae, device, warnings.append), pictures, cache, phase)
    train, held_out = hold_out(pictures, config.validation.held_out_share if config.validation.every else 0)
    order = SampleOrder(
        [pictures[index] for index in train],
        load_template(config.data.template),
        config.name,
        config.data,
        config.training.batch_size,
        config.seed,
    )
    encoder = RoomyEncoder(base.text_encoder, device, warnings.append)
    contexts = Contexts(
        lambda prompts, progress: _encode(base, prompts, config, encoder, progress),
        cache,
        ("text", content_key(model_path), config.model.clip_skip, config.model.emphasis),
        recurring=not (config.data.shuffle_tags or config.data.tag_dropout),
    )
    diffusion = Diffusion.from_scheduler(base.noise_scheduler, device)
    inputs = StepInputs(
        order,
        [posteriors[index] for index in train],
        lambda step: contexts.of_step(order, step, schedule_end),
        diffusion.num_timesteps,
        config.training.noise_offset,
        net.structure.drops,
    )
    first = max(net.step, resumed_at or 0) + 1

    def progress(done: int, total: int) -> None:
        phase("prompts", done, total)

    contexts.of_step(order, min(first, schedule_end), schedule_end, progress)
    own_contexts = contexts.load([own_prompt(picture, order) for picture in pictures], progress)
    warnings += long_captions(pictures, own_contexts, base.tokenizer.model_max_length)
    validator = _validator(config, pictures, posteriors, own_contexts, train, held_out, diffusion)
    place_unet(base.unet, config.memory, device)
    arrived(frozen_tensors(base.unet))
    net.to(device)
    denoiser = Denoiser(base.unet, diffusion, device, dtype, config.training.min_snr_gamma)
    return Prepared(
        config,
        base,
        net,
        denoiser,
        inputs,
        contexts,
        validator,
        net.step,
        schedule_end,
        len(pictures),
        content_key(model_path),
        warnings,
    )


def load_parts(config: RunConfig, dtype: torch.dtype) -> BaseModel:
    """Load the UNet in `dtype`, and VAE and text encoder in float32 on the CPU, as both are used only now and then.

    The decoders of SD 1.x and 2.x overflow in half precision; contexts in full precision serve every UNet.

    Raises:
        AppError: the model can't be used, or has fewer text layers than `model.clip_skip`.
    """
    path, prediction_type = Path(config.model.path), config.model.prediction_type
    base = load_base_model(path, dtype=dtype, prediction_type=prediction_type, parts=["unet"])
    others = load_base_model(
        path,
        dtype=torch.float32,
        prediction_type=base.prediction_type if base.prediction_type != "unknown" else "auto",
        parts=["vae", "text_encoder"],
        vae_path=Path(config.model.vae) if config.model.vae else None,
    )
    base.parts.update(others.parts)
    layers = base.text_encoder.config.num_hidden_layers
    if config.model.clip_skip > layers:
        raise AppError(
            "Bad setting",
            f"model.clip_skip is {config.model.clip_skip}, but this text encoder has {layers} layers.",
            "Set model.clip_skip=1, the usual value.",
        )
    return base


def learning_rate(config: RunConfig, first_step: int) -> Schedule:
    """Return the learning rate of a run that begins after `first_step` steps."""
    optimizer = config.optimizer
    try:
        return Schedule.parse(
            optimizer.learning_rate,
            config.training.steps,
            min(first_step, config.training.steps - 1),
            optimizer.schedule,
            optimizer.warmup_steps,
            optimizer.final_share,
        )
    except ValueError as error:
        raise AppError(
            "Bad setting",
            f"optimizer.learning_rate is {printable(optimizer.learning_rate, 80)}; "
            f"from step {first_step:,} it {error}.",
            "Give a rate that reaches beyond the steps already done.",
        ) from None


def make_network(config: RunConfig, base: BaseModel) -> Hypernetwork:
    """Make the network that the configuration asks for, or load the one it goes on from.

    Raises:
        AppError: the file has no width that the model has.
    """
    settings = config.network
    if settings.start_from:
        net = load(Path(settings.start_from))
        if not set(net.dims) & set(base.dims):
            raise AppError(
                "Hypernetwork doesn't fit",
                f"{printable(settings.start_from)} has widths {_widths(net.dims)}, the model {_widths(base.dims)}.",
                "Take a hypernetwork made for this family of models.",
            )
        net.name = config.name
    else:
        missing = sorted(set(settings.widths) - set(base.dims))
        if missing:
            raise AppError(
                "Bad setting",
                f"network.widths holds {_widths(missing)}, which {base.info.label} doesn't have.",
                f"It has {_widths(base.dims)}; leave network.widths empty for all of them.",
            )
        structure = Structure(
            layer_structure=settings.layer_structure,
            activation_func=settings.activation,
            is_layer_norm=settings.layer_norm,
            weight_initialization=settings.initialization,
            activate_output=settings.activate_output,
            use_dropout=any(settings.dropout_structure),
            dropout_structure=settings.dropout_structure,
        )
        net = Hypernetwork.create(
            list(settings.widths) or base.dims,
            structure,
            name=config.name,
            seed=config.seed,
            zero_last_layer=settings.zero_last_layer,
        )
    net.sd_checkpoint = short_hash(Path(config.model.path))
    net.sd_checkpoint_name = checkpoint_name(Path(config.model.path), models_folder(Path(config.model.path)))
    return net


def _posteriors(
    config: RunConfig,
    vae: RoomyVae,
    pictures: Sequence[TrainingPicture],
    cache: TensorCache,
    phase: Phase,
) -> list[Posterior]:
    @torch.no_grad()
    def encode(picture: TrainingPicture) -> Posterior:
        pixels_CHW, alpha_HW = load_pixels(picture.path, config.data)
        mean_CHW, std_CHW = (t_BCHW[0] * vae.vae.config.scaling_factor for t_BCHW in vae.encode(pixels_CHW[None]))
        if not bool(torch.isfinite(mean_CHW).all()):
            raise AppError(
                "Bad latents",
                f"The VAE gave numbers that are not finite for {printable(picture.path)}.",
                "Leave this picture out, or set model.vae to another VAE.",
            )
        weight_HW = None if alpha_HW is None else weight_from_alpha(alpha_HW, tuple(mean_CHW.shape[1:]))
        return Posterior(mean_CHW, std_CHW, weight_HW)

    vae_path = Path(config.model.vae or config.model.path)
    key = ("vae", content_key(vae_path), config.data.size, config.data.keep_aspect, config.data.alpha_as_weight)
    try:
        return cached_posteriors(
            pictures, cache, key, encode, lambda done, total: phase("latents", done, total), lambda: vae.way == "tiles"
        )
    finally:
        vae.put_away()


@torch.no_grad()
def _encode(
    base: BaseModel, prompts: Sequence[str], config: RunConfig, encoder: RoomyEncoder, progress: Progress
) -> list[Tensor]:
    def encoded(prompt: str) -> Tensor:
        found = encode_prompts([prompt], base, clip_skip=config.model.clip_skip, emphasis=config.model.emphasis)
        return found[0].float().cpu()

    contexts: list[Tensor] = []
    try:
        # One by one: in a batch a prompt's numbers would depend on its neighbours, and a resumed run has others.
        for prompt in prompts:
            contexts.append(encoder.run(lambda prompt=prompt: encoded(prompt)))  # type: ignore[misc]
            progress(len(contexts), len(prompts))
    finally:
        encoder.put_away()
    return contexts


def own_prompt(picture: TrainingPicture, order: SampleOrder) -> str:
    """Return the prompt that a picture is validated with: the template's first line, nothing shuffled."""
    return fill(order.template[0], name=order.name, filewords=picture.caption)


def _validator(
    config: RunConfig,
    pictures: Sequence[TrainingPicture],
    posteriors: Sequence[Posterior],
    own_contexts: Sequence[Tensor],
    train: Sequence[int],
    held_out: Sequence[int],
    diffusion: Diffusion,
) -> Validator | None:
    if not config.validation.every:
        return None
    measured = choose_measured(train, pictures, config.validation.pictures)
    return Validator(
        pictures,
        posteriors,
        own_contexts,
        measured,
        choose_measured(held_out, pictures, config.validation.pictures),
        stratified_timesteps(diffusion.num_timesteps, config.validation.timesteps),
        [] if held_out else [i for i in without_mirror_image(train, posteriors) if i in measured],
    )


def long_captions(pictures: Sequence[TrainingPicture], contexts: Sequence[Tensor], chunk: int) -> list[str]:
    """Return a warning for captions of so many chunks that each step pays for them.

    Args:
        pictures: The pictures.
        contexts: Context_LD of each.
        chunk: Tokens of one chunk, begin and end included.
    """
    long = [
        f"{printable(picture.path.name, 60)} ({len(context_LD)} tokens)"
        for picture, context_LD in zip(pictures, contexts, strict=True)
        if len(context_LD) > LONG_CHUNKS * chunk
    ]
    if not long:
        return []
    more = f" and {len(long) - 3} more" if len(long) > 3 else ""
    return [f"Very long captions cost memory and time at every step: {', '.join(long[:3])}{more}. Shorten them."]


def _widths(dims: Sequence[int]) -> str:
    return ", ".join(str(dim) for dim in dims)
