"""The settings of captions: where they come from, and each captioner's own.

Defaults are AUTOMATIC1111's where it has the setting (`modules/interrogate.py`, `modules/deepbooru.py`, v1.10.1).
"""

from pathlib import Path
from typing import Literal

from pydantic import field_validator

from trainer.config.model import Section, setting
from trainer.text import nearest

CAPTIONERS = ("blip", "blip2", "florence2", "deepbooru", "wd")
"""The captioners that look at the picture."""

SOURCES = ("filename", "text", "files", *CAPTIONERS)
"""Everything that `caption.source` may name."""


class BlipSettings(Section):
    """BLIP writes a sentence; made for photographs."""

    model: str = setting("Salesforce/blip-image-captioning-base", "Folder or Hub name of a BLIP captioning model")
    quality: Literal["a1111", "better"] = setting(
        "a1111", "a1111: the numbers below; better: beams, no padding out to a least length, no repetition"
    )
    prompt: str = setting("a picture of ", "What the sentence begins with; cut off again")
    beams: int = setting(1, "Sentences looked at side by side; more is better and slower", ge=1, le=16)
    min_length: int = setting(24, "Least length, the prompt included", unit="tokens", ge=1, le=128)
    max_length: int = setting(48, "Greatest length, the prompt included", unit="tokens", ge=1, le=256)
    repetition_penalty: float = setting(1.0, "Above 1 words are less often said twice", ge=1, le=2)


class Blip2Settings(Section):
    """BLIP-2 writes a sentence with a language model: better than BLIP, and several gigabytes large."""

    model: str = setting("Salesforce/blip2-opt-2.7b", "Folder or Hub name of a BLIP-2 model")
    prompt: str = setting("", "A question or the beginning of the sentence; empty lets it write freely")
    beams: int = setting(3, "Sentences looked at side by side", ge=1, le=16)
    max_tokens: int = setting(48, "Greatest length of what it writes", unit="tokens", ge=1, le=512)


class Florence2Settings(Section):
    """Florence-2 writes from a short to a very detailed description; small and quick."""

    model: str = setting("florence-community/Florence-2-base", "Folder or Hub name of a Florence-2 model")
    detail: Literal["short", "detailed", "very-detailed"] = setting("detailed", "How much it writes")
    beams: int = setting(3, "Sentences looked at side by side", ge=1, le=16)
    max_tokens: int = setting(128, "Greatest length of what it writes", unit="tokens", ge=1, le=1024)


class TagSettings(Section):
    """How tags become a caption."""

    sort: Literal["alphabet", "score"] = setting("alphabet", "Order of the tags")
    use_spaces: bool = setting(True, "Write spaces in place of underscores")
    escape: bool = setting(True, r"Write \( for (, as brackets weigh words in prompts")
    filter_tags: str = setting("", "Tags to leave out, separated by commas")
    scores: bool = setting(False, "Write (tag:0.987) with each tag's score")


class DeepbooruSettings(TagSettings):
    """Deepbooru writes Danbooru tags; made for anime. A1111's choice."""

    model: str = setting("", "File model-resnet_custom_v3.pt; empty looks where A1111 keeps it")
    threshold: float = setting(0.5, "Least score of a tag", ge=0, le=1)


class WdSettings(TagSettings):
    """WD tagger v3 writes Danbooru tags, newer and surer than Deepbooru."""

    model: str = setting("SmilingWolf/wd-vit-tagger-v3", "Folder with model.onnx and selected_tags.csv, or Hub name")
    threshold: float = setting(0.35, "Least score of a general tag", ge=0, le=1)
    character_threshold: float = setting(0.85, "Least score of a character's name", ge=0, le=1)
    rating: bool = setting(False, "Write the most likely rating too, e.g. general")
    sort: Literal["alphabet", "score"] = setting("score", "Order of the tags")


class CaptionSettings(Section):
    """Where captions come from."""

    source: str = setting("filename", "filename, text, files, or captioners, joined in this order: deepbooru,blip")
    text: str = setting("", "The caption of every picture, for the source text")
    extension: str = setting(".txt", "Of the caption files beside the source pictures")
    existing: Literal["ignore", "keep", "prepend", "append"] = setting("keep", "What becomes of captions already there")
    batch_size: int = setting(8, "Pictures at once; halved when memory runs out", unit="pictures", ge=1, le=256)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 or mps")
    blip: BlipSettings = BlipSettings()
    blip2: Blip2Settings = Blip2Settings()
    florence2: Florence2Settings = Florence2Settings()
    deepbooru: DeepbooruSettings = DeepbooruSettings()
    wd: WdSettings = WdSettings()

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources in the order in which their captions are joined."""
        return tuple(name.strip() for name in self.source.split(",") if name.strip())

    @field_validator("source")
    @classmethod
    def _known_sources(cls, text: str) -> str:
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in SOURCES:
                raise ValueError(f"may name {', '.join(SOURCES)}.{nearest(name, SOURCES)}")
        if not names or len(set(names)) < len(names):
            raise ValueError("must name each source once, separated by commas")
        if "files" in names and len(names) > 1:
            raise ValueError("files stands alone; use existing to join captions that are there with new ones")
        return ",".join(names)

    @field_validator("extension")
    @classmethod
    def _is_extension(cls, extension: str) -> str:
        if not extension.startswith(".") or len(Path(f"x{extension}").suffixes) != 1 or "/" in extension:
            raise ValueError("must be a dot and letters, e.g. .caption")
        return extension
