"""Captioners of the true architectures: what reaches the model, what is made of its answer, and what goes wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.captioners import tiny_blip, tiny_blip2, tiny_deepbooru, tiny_florence2, tiny_wd

from trainer.captions.blip import Blip, prepared
from trainer.captions.deepbooru import Deepbooru, fitted
from trainer.captions.deepbooru_model import DeepDanbooru, read_deepdanbooru
from trainer.captions.describers import TASKS, Blip2, Florence2
from trainer.captions.engine import Engine
from trainer.captions.wd import WdTagger, read_tags
from trainer.captions.wd import prepared as prepared_for_wd
from trainer.config.captioning import Blip2Settings, BlipSettings, DeepbooruSettings, Florence2Settings, WdSettings
from trainer.errors import AppError

CPU, FULL = torch.device("cpu"), torch.float32
WD_TAGS = (("general", 9), ("explicit", 9), ("long_hair", 0), (">_<", 0), ("smile_(grin)", 0), ("hatsune_miku", 4))


@pytest.fixture(scope="module")
def blip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_blip(tmp_path_factory.mktemp("models") / "blip")


def photographs() -> list[Image.Image]:
    from skimage import data

    return [Image.fromarray(data.astronaut()), Image.fromarray(data.coffee()).convert("L")]


class Spy:
    """Stands before a model's `generate` and keeps what it was given."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: dict[str, Any] = {}
        self._generate = model.generate
        monkeypatch.setattr(model, "generate", self)

    def __call__(self, **given: Any) -> torch.Tensor:
        self.given = given
        self.answer: torch.Tensor = self._generate(**given)
        return self.answer


def test_blip_is_asked_as_a1111_asks_it(blip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blip = Blip(blip_folder, BlipSettings(), CPU, FULL)
    spy = Spy(blip._model, monkeypatch)
    decoder = Spy(blip._model.text_decoder, monkeypatch)
    captions = blip.write(photographs())
    wanted = {"num_beams": 1, "min_length": 24, "max_length": 48, "repetition_penalty": 1.0, "do_sample": False}
    assert {name: spy.given[name] for name in wanted} == wanted
    assert spy.given["pixel_values"].shape == (2, 3, 32, 32)
    # [DEC] a picture of: four tokens, which the lengths count; the separator is gone.
    names = blip._tokenizer.convert_ids_to_tokens(decoder.given["input_ids"][0, 1:].tolist())
    assert names == ["a", "picture", "of"]
    assert decoder.given["input_ids"][0, 0] == blip._model.config.text_config.bos_token_id
    assert 24 <= spy.answer.shape[1] <= 48
    assert not (spy.answer[:, :24] == blip._model.config.text_config.sep_token_id).any(), "24 tokens, the prompt's too"
    whole = blip._tokenizer.batch_decode(spy.answer, skip_special_tokens=True)
    assert [f"a picture of {caption}" for caption in captions] == [text.strip() for text in whole]


def test_blip_of_better_quality_looks_at_beams_and_does_not_pad_out(
    blip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blip = Blip(blip_folder, BlipSettings(quality="better", beams=1), CPU, FULL)
    spy = Spy(blip._model, monkeypatch)
    blip.write(photographs()[:1])
    assert spy.given["num_beams"] > 1
    assert spy.given["min_length"] < 24
    assert spy.given["repetition_penalty"] > 1


def test_blip_sees_the_whole_picture_squeezed_and_normalised() -> None:
    picture = Image.new("RGB", (40, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (20, 0, 40, 20))
    seen = prepared(picture, 384)
    assert seen.shape == (3, 384, 384)
    expected = (1 - 0.48145466) / 0.26862954
    assert seen[0, 200, 5].item() == pytest.approx(expected, abs=1e-4)
    assert seen[2, 200, 380].item() == pytest.approx((1 - 0.40821073) / 0.27577711, abs=1e-4)


@pytest.mark.parametrize("prompt", ["", "a picture of"])
def test_blip2_writes_without_repeating_what_it_was_given(tmp_path: Path, prompt: str) -> None:
    model = Blip2(tiny_blip2(tmp_path / "m"), Blip2Settings(prompt=prompt, max_tokens=8, beams=2), CPU, FULL)
    captions = model.write(photographs())
    assert len(captions) == 2
    assert all("<" not in caption and not caption.startswith("a picture of") for caption in captions)
    assert all(len(caption.split()) <= 8 for caption in captions)
    assert model.write(photographs()[:1]) == captions[:1], "a batch must write what one picture alone gets"


def test_florence2_is_given_its_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Florence2Settings(detail="very-detailed", max_tokens=6, beams=2)
    model = Florence2(tiny_florence2(tmp_path / "m"), settings, CPU, FULL)
    spy = Spy(model._model, monkeypatch)
    asked: list[Any] = []
    construct = model._processor._construct_prompts
    monkeypatch.setattr(model._processor, "_construct_prompts", lambda text: asked.extend(text) or construct(text))
    captions = model.write(photographs())
    assert len(captions) == 2
    assert all("<" not in caption for caption in captions)
    assert asked == [TASKS["very-detailed"]] * 2 == ["<MORE_DETAILED_CAPTION>"] * 2
    assert spy.given["max_new_tokens"] == 6
    assert spy.given["pixel_values"].shape[0] == 2


def test_deepbooru_has_the_published_layout() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in DeepDanbooru(["tag"] * 9176).state_dict().items()}
    assert len(shapes) == 2 * 179 - 1
    assert "n_Conv_178.bias" not in shapes
    published = {
        0: (64, 3, 7, 7), 1: (256, 64, 1, 1), 2: (64, 64, 1, 1), 4: (256, 64, 1, 1), 5: (64, 256, 1, 1),
        11: (512, 256, 1, 1), 12: (128, 256, 1, 1), 13: (128, 128, 3, 3), 35: (512, 128, 1, 1),
        36: (1024, 512, 1, 1), 37: (256, 512, 1, 1), 38: (256, 256, 3, 3), 97: (256, 1024, 1, 1),
        98: (256, 256, 3, 3), 99: (1024, 256, 1, 1), 100: (1024, 1024, 1, 1), 101: (256, 1024, 1, 1),
        157: (1024, 256, 1, 1), 158: (2048, 1024, 1, 1), 159: (512, 1024, 1, 1), 167: (2048, 512, 1, 1),
        168: (4096, 2048, 1, 1), 169: (1024, 2048, 1, 1), 177: (4096, 1024, 1, 1), 178: (9176, 4096, 1, 1),
    }  # fmt: skip
    assert {number: shapes[f"n_Conv_{number}.weight"] for number in published} == published


def test_deepbooru_halves_where_the_published_network_does() -> None:
    model = DeepDanbooru(["tag"], base=2)
    strides = [number for number in range(179) if model.get_submodule(f"n_Conv_{number}").stride == (2, 2)]
    assert strides == [0, 11, 13, 36, 38, 98, 100, 158, 160, 168, 170]
    # 512 px, halved by the stem, its pool and five groups: 512 / 2**7.
    seen: list[Any] = []
    model.get_submodule("n_Conv_178").register_forward_hook(lambda _m, given, _out: seen.append(given[0].shape))
    scores = model(torch.rand(1, 512, 512, 3))
    assert seen[0][2:] == (4, 4)
    assert scores.shape == (1, 1)


def test_deepbooru_writes_tags_by_a1111s_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = ("smile_(grin)", "rating:safe", "long_hair", "1girl", "weak", "back\\slash", "unwanted_tag")
    path = tiny_deepbooru(tmp_path / "model-resnet_custom_v3.pt", tags)
    scores = torch.tensor([[0.9, 0.99, 0.5, 0.95, 0.4999, 0.7, 0.8]])

    def written(**settings: Any) -> str:
        tagger = Deepbooru(path, DeepbooruSettings(**settings), CPU, FULL)
        monkeypatch.setattr(tagger, "_model", _Fixed(tagger._model, scores))
        return tagger.write(photographs()[:1])[0]

    assert written() == r"1girl, back\\slash, long hair, smile \(grin\), unwanted tag"
    assert written(sort="score", filter_tags="unwanted tag, long_hair") == r"1girl, smile \(grin\), back\\slash"
    assert written(use_spaces=False, escape=False).endswith("long_hair, smile_(grin), unwanted_tag")
    assert written(scores=True, threshold=0.91) == "(1girl:0.950)"
    assert written(threshold=1.0) == ""


class _Fixed(torch.nn.Module):
    """A model that gives the same scores whatever it sees."""

    def __init__(self, model: DeepDanbooru, scores: torch.Tensor) -> None:
        super().__init__()
        self.tags, self.weight, self._scores = model.tags, torch.nn.Parameter(torch.zeros(1)), scores

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape[1:] == (512, 512, 3)
        assert 0 <= pixels.min() <= pixels.max() <= 1
        return self._scores.expand(len(pixels), -1)


def test_deepbooru_fits_pictures_and_stretches_their_edges() -> None:
    wide = Image.fromarray(np.linspace((0, 0, 0), (255, 255, 255), 100).astype(np.uint8)[:, None].repeat(201, 1))
    seen = np.asarray(fitted(wide)).astype(int)
    assert seen.shape == (512, 512, 3)
    assert seen[:128].max() < 10, "the band above is the upper edge"
    assert seen[-128:].min() > 245, "the band below is the lower edge"
    tall = np.asarray(fitted(Image.new("RGB", (30, 90), (10, 200, 30))))
    assert (tall == (10, 200, 30)).all(), "no row is left black"


def test_other_files_are_no_deepbooru_model(tmp_path: Path) -> None:
    good = torch.load(tiny_deepbooru(tmp_path / "good.pt", ("a", "b")), weights_only=True)
    torch.save({**good, "n_Conv_100.weight": torch.zeros(3)}, tmp_path / "bad.pt")
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(AppError, match=r"lacks n_Conv_100\.weight"):
        read_deepdanbooru(tmp_path / "bad.pt")
    with pytest.raises(AppError, match="tags"):
        read_deepdanbooru(tmp_path / "other.pt")


def test_wd_tagger_reads_the_published_files(tmp_path: Path) -> None:
    folder = tiny_wd(tmp_path / "wd", WD_TAGS)
    everything = WdSettings(threshold=0, character_threshold=0, sort="alphabet", rating=True)
    caption = WdTagger(folder, everything, CPU).write(photographs())[0]
    assert caption.startswith(r"hatsune miku, >_<, long hair, smile \(grin\), ")
    assert caption.endswith(("general", "explicit"))
    # Scores of white: the tag k gets sigmoid(255 * sum of its column), rising with k.
    white = [Image.new("RGB", (10, 10), "white")]
    high = WdTagger(folder, WdSettings(threshold=0.5, character_threshold=0.98), CPU).write(white)[0]
    assert high == r"hatsune miku, smile \(grin\), >_<"
    assert WdTagger(folder, WdSettings(threshold=0.5, character_threshold=1), CPU).write(white)[0] == high[14:]


def test_wd_tagger_of_a_fixed_batch_takes_any_number(tmp_path: Path) -> None:
    free, fixed = (tiny_wd(tmp_path / str(batch), WD_TAGS, batch) for batch in ("n", 2))
    settings = WdSettings(threshold=0, character_threshold=0, scores=True)
    pictures = [*photographs(), Image.new("RGB", (5, 9), "red")]
    assert WdTagger(fixed, settings, CPU).write(pictures) == WdTagger(free, settings, CPU).write(pictures)


def test_wd_tagger_sees_blue_green_red_on_white() -> None:
    picture = Image.new("RGB", (20, 10), (250, 100, 0))
    seen = prepared_for_wd(picture, 448)
    assert seen.shape == (448, 448, 3)
    assert seen.dtype == np.float32
    assert seen[0, 0].tolist() == [255, 255, 255], "padded with white"
    assert seen[224, 224].tolist() == [0, 100, 250]
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert prepared_for_wd(clear, 448).min() == 255


def test_wd_tagger_refuses_what_is_none(tmp_path: Path) -> None:
    folder = tiny_wd(tmp_path / "wd", WD_TAGS)
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n1,one,0,5\n")
    with pytest.raises(AppError, match="6 scores for 1 tags"):
        WdTagger(folder, WdSettings(), CPU)
    (folder / "selected_tags.csv").write_text("no,list\n1,2\n")
    with pytest.raises(AppError, match="Damaged list of tags"):
        read_tags(folder / "selected_tags.csv")
    (folder / "model.onnx").write_bytes(b"nothing")
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n1,one,0,5\n")
    with pytest.raises(AppError, match="Damaged model"):
        WdTagger(folder, WdSettings(), CPU)


class Narrow:
    """A captioner with room for so many pictures at once; on the CPU for `on_cpu`."""

    name = "narrow"

    def __init__(self, room: int, on_cpu: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.room, self.on_cpu, self.error = room, on_cpu, error
        self.device = torch.device("meta")
        self.batches: list[int] = []

    def to_cpu(self) -> None:
        self.device, self.room = CPU, self.on_cpu

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        self.batches.append(len(pictures))
        if len(pictures) > self.room:
            raise self.error("CUDA error: out of memory")
        return [str(picture.width) for picture in pictures]


def test_a_batch_is_halved_when_memory_runs_out_and_stays_small() -> None:
    pictures = [Image.new("RGB", (width, 1)) for width in range(1, 20)]
    said: list[str] = []
    engine, captioner = Engine(8, said.append), Narrow(3, 3, RuntimeError)
    assert engine.write(captioner, pictures) == [str(width) for width in range(1, 20)]
    assert captioner.batches[:3] == [8, 4, 2]
    assert max(captioner.batches[2:]) == 2
    assert engine.batch_size == 2
    assert len(said) == 2


def test_the_cpu_is_the_last_resort() -> None:
    said: list[str] = []
    captioner = Narrow(0, 1)
    assert Engine(2, said.append).write(captioner, [Image.new("RGB", (7, 1))] * 3) == ["7"] * 3
    assert captioner.device.type == "cpu"
    assert "on the CPU" in said[-1]
    with pytest.raises(AppError, match="even for one picture"):
        Engine(2, said.append).write(Narrow(0, 0), [Image.new("RGB", (7, 1))])


def test_another_error_is_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(ZeroDivisionError):
        Engine(2).write(Narrow(0, 0, ZeroDivisionError), [Image.new("RGB", (7, 1))])
