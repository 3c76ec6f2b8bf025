"""Every captioner: what it is for, what it needs, and whether that is here. Looks at no picture and loads nothing."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from trainer.captions.model_files import DEEPBOORU_FILE, DEEPBOORU_URL, WEIGHTS, Needed, find_here, missing
from trainer.config.captioning import CAPTIONERS, CaptionSettings
from trainer.errors import AppError

_TRANSFORMERS = ("*.json", "*.txt", "model*.safetensors")
_TRANSFORMERS_FILES = ("config.json", "tokenizer.json|vocab.txt|vocab.json", "|".join(WEIGHTS))


@dataclass(frozen=True)
class CaptionerInfo:
    """A captioner as a list shows it."""

    name: str
    """As `--with` takes it."""
    title: str
    writes: str
    """What kind of caption, and for which pictures."""
    needed: Needed
    here: Path | None
    """Where its model is on this machine; None where it has to be fetched first."""
    lacks: str
    """What has to be installed first, as a sentence; empty where nothing has."""

    @property
    def ready(self) -> bool:
        """Whether it can start without downloading or installing anything."""
        return self.here is not None and not self.lacks

    @property
    def standing(self) -> str:
        """How it stands, as a phrase."""
        if self.lacks:
            return self.lacks
        return "ready" if self.here else f"to be downloaded ({self.needed.size_text or 'size unknown'})"


_TITLES = {
    "blip": ("BLIP", "a sentence; photographs"),
    "blip2": ("BLIP-2", "a better sentence; photographs; needs a large GPU"),
    "florence2": ("Florence-2", "a short to very detailed description; photographs and drawings"),
    "deepbooru": ("Deepbooru", "Danbooru tags; anime"),
    "wd": ("WD tagger v3", "Danbooru tags; anime; surer than Deepbooru"),
}
_SIZES = {
    "Salesforce/blip-image-captioning-base": "about 1 GB",
    "Salesforce/blip-image-captioning-large": "about 2 GB",
    "Salesforce/blip2-opt-2.7b": "about 15 GB",
    "florence-community/Florence-2-base": "about 0.5 GB",
    "florence-community/Florence-2-large": "about 1.6 GB",
    "SmilingWolf/wd-vit-tagger-v3": "about 0.4 GB",
}


def needed_by(name: str, settings: CaptionSettings) -> Needed:
    """Return the files that a captioner needs with these settings."""
    model = str(getattr(settings, name).model)
    size = _SIZES.get(model, "")
    if name == "deepbooru":
        return Needed(name, model, (DEEPBOORU_FILE,), url=DEEPBOORU_URL, size_text="about 0.6 GB")
    if name == "wd":
        files = ("model.onnx", "selected_tags.csv")
        return Needed(name, model, files, fetched=files, size_text=size)
    return Needed(name, model, _TRANSFORMERS_FILES, fetched=_TRANSFORMERS, size_text=size)


def list_captioners(settings: CaptionSettings | None = None) -> tuple[CaptionerInfo, ...]:
    """Return all captioners and how they stand on this machine."""
    return tuple(captioner_info(name, settings or CaptionSettings()) for name in CAPTIONERS)


def captioner_info(name: str, settings: CaptionSettings) -> CaptionerInfo:
    """Return one captioner and how it stands on this machine."""
    needed = needed_by(name, settings)
    return CaptionerInfo(name, *_TITLES[name], needed, find_here(needed), _lacks(name))


def require_captioners(settings: CaptionSettings) -> None:
    """Refuse, before anything starts, what cannot work: a library that isn't installed, a path that isn't there.

    Raises:
        AppError: something is missing that no download brings.
    """
    for name in settings.sources:
        if name not in CAPTIONERS:
            continue
        info = captioner_info(name, settings)
        if info.lacks:
            raise AppError(
                f"{info.title} cannot start", f"{info.lacks}.", "Install it, or choose another captioner (--with)."
            )
        if info.here is None and Path(info.needed.model).expanduser().is_absolute():
            raise missing(info.needed, f"{info.needed.model} does not hold them")


def _lacks(name: str) -> str:
    if name == "wd" and find_spec("onnxruntime") is None:
        return 'onnxruntime is not installed: pip install "hypernet-wizard[wd]"'
    return ""
