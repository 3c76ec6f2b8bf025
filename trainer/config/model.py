"""The settings themselves, as frozen pydantic models.

Units stand in `json_schema_extra["unit"]`, help texts in `description`; defaults are
AUTOMATIC1111's where it has the setting (reference: its Train tab and Settings page, v1.10.1).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from trainer.schedule import ANY_STEPS, parse_learning_rate, parse_rate_text
from trainer.text import parse_size

PORTABLE_ACTIVATIONS = ("linear", "relu", "leakyrelu", "elu", "swish", "tanh", "sigmoid", "softsign", "mish")
"""The activations that both A1111 and ComfyUI apply ("swish" is Hardswish in both)."""

OTHER_ACTIVATIONS = (
    "celu",
    "gelu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "logsigmoid",
    "logsoftmax",
    "prelu",
    "relu6",
    "rrelu",
    "selu",
    "silu",
    "softmax",
    "softmax2d",
    "softmin",
    "softplus",
    "softshrink",
    "tanhshrink",
)
"""Activations that A1111 alone applies."""

Initialization = Literal["Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal"]
Sampler = Literal[
    "DPM++ 2M Karras",
    "DPM++ 2M",
    "DPM++ SDE Karras",
    "Euler a",
    "Euler",
    "Heun",
    "DDIM",
    "UniPC",
    "LMS",
    "PLMS",
]


def setting(default: Any, help_text: str, *, unit: str = "", **bounds: float) -> Any:
    """Make a field with its help text, unit and bounds (`ge`, `gt`, `le`, `lt`, `multiple_of`)."""
    extra = {"unit": unit} if unit else None
    return Field(default=default, description=help_text, json_schema_extra=extra, **bounds)  # type: ignore[call-overload]


class Section(BaseModel):
    """A frozen group of settings that refuses unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ModelSettings(Section):
    """The base model that stays frozen."""

    path: str = setting("", "Checkpoint file (.safetensors, .ckpt), diffusers folder or Hub id")
    vae: str = setting("", "Another VAE file; empty takes the checkpoint's own")
    prediction_type: Literal["auto", "epsilon", "v_prediction"] = setting(
        "auto", "What the UNet predicts; auto reads it from the model"
    )
    clip_skip: int = setting(1, "Text encoder layers counted from the end; 1 is the last", ge=1, le=12)
    emphasis: bool = setting(True, "Read (word:1.2) in prompts and captions as A1111 does")


class DataSettings(Section):
    """What the network learns from."""

    folder: str = setting("processed", "Folder of training pictures and captions, from the project's folder")
    size: int = setting(512, "Side of the training pictures", unit="px", ge=64, le=2048, multiple_of=64)
    keep_aspect: bool = setting(False, "Keep the pictures' shape; pictures of one size share a micro-batch")
    template: str = setting("filewords", "Prompt template: a name from presets/templates or a text file")
    filename_regex: str = setting("", "Words to take from a file name that has no caption; empty takes all")
    filename_join: str = setting(" ", "What stands between those words")
    shuffle_tags: bool = setting(False, "Shuffle a caption's comma-separated tags at every use")
    tag_dropout: float = setting(0.0, "Chance that a tag is left out", ge=0, le=1)
    caption_dropout: float = setting(0.0, "Chance that a whole prompt is left empty", ge=0, le=1)
    latent_sampling: Literal["once", "deterministic", "random"] = setting(
        "once", "VAE posterior: one sample for the run, its mean, or a new sample at every use"
    )
    alpha_as_weight: bool = setting(False, "Use a picture's alpha channel as the weight of the loss")


class NetworkSettings(Section):
    """The hypernetwork: for each context width one small network for keys and one for values."""

    widths: tuple[int, ...] = setting((), "Context widths, e.g. 768,320,640,1280; empty takes the model's own")
    layer_structure: tuple[float, ...] = setting((1, 2, 1), "Layer widths as multiples; first and last are 1")
    activation: str = setting("linear", f"Portable: {', '.join(PORTABLE_ACTIVATIONS)}; A1111 alone has more")
    activate_output: bool = setting(False, "Activation after the last layer too")
    initialization: Initialization = setting("Normal", "How weights start; all but Normal need layer norm")
    layer_norm: bool = setting(False, "Layer norm after every layer; not portable to ComfyUI")
    dropout_structure: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = setting(
        (), "Dropout after the layer that makes each width, e.g. 0,0.1,0; empty for none"
    )
    zero_last_layer: bool = setting(False, "Start as the unchanged base model (an extension; files stay A1111's)")
    start_from: str = setting("", "Go on from this hypernetwork file instead of a new one")

    @field_validator("layer_structure")
    @classmethod
    def _ends_are_one(cls, structure: tuple[float, ...]) -> tuple[float, ...]:
        if len(structure) < 2 or structure[0] != 1 or structure[-1] != 1:
            raise ValueError("must begin and end with 1 and hold at least two numbers, e.g. 1,2,1")
        if any(multiple <= 0 for multiple in structure):
            raise ValueError("every number must be above 0")
        return structure

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, name: str) -> str:
        from trainer.text import nearest

        known = (*PORTABLE_ACTIVATIONS, *OTHER_ACTIVATIONS)
        if name not in known:
            raise ValueError(f"is not one of {', '.join(known)}.{nearest(name, known)}")
        return name

    @model_validator(mode="after")
    def _dropout_fits(self) -> "NetworkSettings":
        if self.dropout_structure and len(self.dropout_structure) != len(self.layer_structure):
            raise ValueError("dropout_structure must have as many numbers as layer_structure")
        if self.dropout_structure and self.dropout_structure[-1] > 0:
            raise ValueError("dropout_structure must end with 0: other programs cannot read the file otherwise")
        return self


class OptimizerSettings(Section):
    """AdamW and the learning rate."""

    learning_rate: str = setting("0.00001", "A rate, or steps such as 5e-5:100, 5e-6:1500, 5e-7")
    schedule: Literal["steps", "cosine"] = setting("steps", "steps: the text as it is; cosine: falls smoothly")
    warmup_steps: int = setting(0, "Steps over which the rate rises from 0", unit="steps", ge=0)
    final_share: float = setting(0.1, "Share of the rate left at the end of a cosine", ge=0, le=1)
    weight_decay: float = setting(0.01, "AdamW's weight decay", ge=0, le=1)
    beta1: float = setting(0.9, "AdamW's first moment decay", ge=0, lt=1)
    beta2: float = setting(0.999, "AdamW's second moment decay", ge=0, lt=1)
    epsilon: float = setting(1e-8, "AdamW's epsilon", gt=0, le=1e-2)
    rate_scale: float = setting(1.0, "Multiplies every learning rate; recovery lowers it", gt=0, le=1)
    clip: Literal["disabled", "value", "norm"] = setting("disabled", "Limit the gradient by element or by norm")
    clip_value: str = setting("0.1", "The limit, or steps such as 1:100, 0.1")

    @field_validator("learning_rate", "clip_value", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return format(value, "g") if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("learning_rate")
    @classmethod
    def _rates(cls, text: str) -> str:
        parse_learning_rate(text)
        return text

    @field_validator("clip_value")
    @classmethod
    def _limits(cls, text: str) -> str:
        parse_rate_text(text, ANY_STEPS)
        return text

    @model_validator(mode="after")
    def _one_rate_for_cosine(self) -> "OptimizerSettings":
        if self.schedule == "cosine" and ("," in self.learning_rate or ":" in self.learning_rate):
            raise ValueError("a cosine schedule starts from one rate: give learning_rate a single number")
        return self


class TrainingSettings(Section):
    """How long, how many pictures at once, and what is minimised."""

    steps: int = setting(
        2000, "Optimizer steps in total, those of a continued network included", unit="steps", ge=1, le=10_000_000
    )
    batch_size: int = setting(1, "Pictures per optimizer step, however they are split", unit="pictures", ge=1, le=4096)
    min_snr_gamma: float = setting(0.0, "Min-SNR weighting of timesteps; 5 is usual, 0 is off", ge=0, le=100)
    noise_offset: float = setting(0.0, "Shift of the noise per channel, for darker and lighter pictures", ge=0, le=1)


class SaveSettings(Section):
    """What is written, and how often."""

    every: int = setting(500, "A checkpoint every so many steps; 0 for the end only", unit="steps", ge=0)
    optimizer_state: bool = setting(True, "Write A1111's .optim file beside each checkpoint")
    best: bool = setting(True, "Keep a checkpoint of the best validated step, whatever `every` says")
    csv_every: int = setting(1, "A row of hypernetwork_loss.csv every so many steps; 0 for none", unit="steps", ge=0)
    state_every_s: float = setting(60.0, "Longest time between two resume states", unit="s", ge=0)
    tensorboard: bool = setting(False, "Write TensorBoard logs (needs the extra 'tensorboard')")


class PreviewSettings(Section):
    """The picture drawn while training, always with the same noise, so that previews can be compared."""

    every: int = setting(500, "A preview every so many steps; 0 for none", unit="steps", ge=0)
    prompt: str = setting("", "Prompt of the preview; empty takes the first training prompt")
    negative_prompt: str = setting("", "What the preview should not show")
    seed: int = setting(42, "Seed of the preview's noise", ge=0, lt=2**32)
    sampler: Sampler = setting("DPM++ 2M Karras", "Sampler, by A1111's name")
    steps: int = setting(20, "Sampling steps", unit="steps", ge=1, le=150)
    cfg_scale: float = setting(7.0, "How strictly the prompt is followed", ge=1, le=30)
    width: int = setting(0, "Width; 0 takes the training size", unit="px", ge=0, le=2048, multiple_of=8)
    height: int = setting(0, "Height; 0 takes the training size", unit="px", ge=0, le=2048, multiple_of=8)


class ValidationSettings(Section):
    """Losses on fixed pictures, noise and timesteps: the figure that can be compared from step to step."""

    every: int = setting(100, "Validate every so many steps; 0 for never", unit="steps", ge=0)
    held_out_share: float = setting(0.15, "Share of pictures kept out of training; needs 12 pictures", ge=0, le=0.5)
    pictures: int = setting(4, "Most pictures measured on each side", unit="pictures", ge=1, le=256)
    timesteps: int = setting(4, "Timesteps measured per picture", ge=1, le=64)
    stop_when: Literal["never", "overtrained", "collapsed"] = setting(
        "never", "Save and end the run when the verdict says so; overtrained stops for a collapse too"
    )


class HealthSettings(Section):
    """How the network and its pictures do, measured along with the validation."""

    every: int = setting(1, "Measure at every so many validations; 0 for never", unit="validations", ge=0)
    captions: int = setting(2, "Untrained captions on which strength and drift are measured", ge=1, le=8)
    variety_every: int = setting(
        5, "Draw several seeds at every so many validations; 0 for never", unit="validations", ge=0
    )
    variety_seeds: int = setting(3, "Pictures drawn for the variety, from seeds of their own", ge=2, le=16)
    variety_steps: int = setting(8, "Sampling steps of these pictures", unit="steps", ge=1, le=150)


class MemorySettings(Section):
    """Where and how the run is computed. None of these changes what is learned, rounding excepted."""

    device: str = setting("auto", "auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "fp32", "tf32", "fp16", "bf16"] = setting(
        "auto",
        "Numbers of the frozen model; auto: bf16 or fp16 on a GPU, fp32 on the CPU; tf32: fp32 with faster, "
        "coarser products on NVIDIA cards",
    )
    micro_batch: int = setting(0, "Pictures at once on the device; 0 takes the whole batch", unit="pictures", ge=0)
    gradient_checkpointing: bool = setting(False, "Compute activations twice: less memory, about a third more time")
    weights: Literal["full", "8bit"] = setting(
        "full", "How the frozen UNet's weights are stored; 8bit: half or a quarter of the memory, tiny differences"
    )
    offload: Literal["none", "half", "all"] = setting(
        "none", "Layers of the frozen UNet kept in the host's memory and fetched when they are needed; takes time"
    )
    optimizer_on_host: bool = setting(
        False, "Keep AdamW's moments in the host's memory and update there; the same result, a little more time"
    )
    rung: Literal["auto", "pinned"] = setting(
        "auto", "auto: if what is set doesn't fit the GPU, take the next rung that does; pinned: never change it"
    )
    smaller_pictures: bool = setting(
        False, "Let auto go down to 384 or 256 px where nothing else fits; pictures get coarser"
    )
    vram_limit: str = setting("", "Most memory the run may take, e.g. 4GiB; on the CPU of tensors; empty for all")
    threads: int = setting(0, "CPU threads; 0 takes all cores", ge=0, le=1024)

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise ValueError("must be auto, cpu, mps, cuda or cuda:N with the number of a card")
        return device

    @model_validator(mode="after")
    def _device_has_it(self) -> "MemorySettings":
        if self.precision == "tf32" and self.device in ("cpu", "mps"):
            raise ValueError(f"precision tf32 is a way of NVIDIA cards to multiply; on {self.device} take fp32")
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError("precision fp16 needs a GPU; on the CPU take fp32, bf16 or auto")
        if self.offload != "none" and self.device == "mps":
            raise ValueError("offload frees nothing on mps, where the GPU's memory is the host's; take none")
        if self.optimizer_on_host and self.device == "mps":
            raise ValueError("optimizer_on_host frees nothing on mps, where the GPU's memory is the host's")
        return self

    @field_validator("vram_limit")
    @classmethod
    def _known_size(cls, size: str) -> str:
        if size:
            parse_size(size)
        return size

    @property
    def vram_limit_bytes(self) -> int | None:
        """The limit in bytes; None without one."""
        return parse_size(self.vram_limit) if self.vram_limit else None


class RecoverySettings(Section):
    """What happens when memory runs out or another fault ends a step."""

    on_oom: Literal["auto", "ask", "stop"] = setting(
        "auto", "After a fault: auto takes the best way on, ask asks first, stop saves and ends the run"
    )
    answer_s: float = setting(
        60.0, "How long a question waits before the best way is taken; 0 waits for ever", unit="s", ge=0
    )
    hang_s: float = setting(600.0, "Least silence of a worker that is taken for a hang", unit="s", ge=1)
    probe: Literal["auto", "always", "never"] = setting(
        "auto", "Try the costliest step before training; auto: where memory is limited and it was not tried before"
    )


class RunConfig(Section):
    """Everything that decides what a run does: enough to repeat it."""

    schema_version: Literal[1] = 1
    name: str = setting("hypernetwork", "Name of the hypernetwork and of its files")
    seed: int = setting(0, "Seed of everything drawn at random", ge=0, lt=2**63)
    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    network: NetworkSettings = NetworkSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    training: TrainingSettings = TrainingSettings()
    save: SaveSettings = SaveSettings()
    preview: PreviewSettings = PreviewSettings()
    validation: ValidationSettings = ValidationSettings()
    health: HealthSettings = HealthSettings()
    memory: MemorySettings = MemorySettings()
    recovery: RecoverySettings = RecoverySettings()

    @field_validator("name")
    @classmethod
    def _file_name(cls, name: str) -> str:
        # A1111 keeps these characters of a new name (modules/hypernetworks/hypernetwork.py) and drops all others.
        if not name.strip(" .") or any(not (c.isalnum() or c in "._- ") for c in name) or len(name.encode()) > 100:
            raise ValueError("may hold letters, digits, dot, underscore, hyphen and space, up to 100 bytes")
        return name

    def warnings(self) -> list[str]:
        """Return combinations known to go wrong, each with the reason."""
        from trainer.config.advice import warnings_of

        return warnings_of(self)
