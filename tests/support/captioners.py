"""Captioning models of the true architectures with random weights, narrow, in the layouts that are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIZE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip
WORDS = ("a", "picture", "of", "cat", "dog", "red", "house", "on", "the", "sea", "with", "two", "people", "green")


def tiny_blip(folder: Path) -> Path:
    """Write a BLIP captioner with BERT's kind of vocabulary; its begin token lies behind it, as published."""
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration

    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizer.from_pretrained(str(folder)).save_pretrained(folder)
    torch.manual_seed(0)
    config = BlipConfig(
        text_config={
            **SIZE,
            "encoder_hidden_size": 32,
            "vocab_size": len(vocabulary) + 2,
            "bos_token_id": len(vocabulary),
            "sep_token_id": 3,
            "eos_token_id": 3,
            "pad_token_id": 0,
            "max_position_embeddings": 256,
        },
        vision_config={**SIZE, "image_size": 32, "patch_size": 16},
        projection_dim=32,
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    return folder


def tiny_blip2(folder: Path) -> Path:
    """Write a BLIP-2 with an OPT decoder."""
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        OPTConfig,
    )
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    tokenizer = word_tokenizer()
    torch.manual_seed(0)
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**SIZE, image_size=32, patch_size=16).to_dict(),
        qformer_config=Blip2QFormerConfig(**SIZE, encoder_hidden_size=32, vocab_size=30).to_dict(),
        text_config=OPTConfig(
            hidden_size=32,
            ffn_dim=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            word_embed_proj_dim=32,
            vocab_size=len(tokenizer),
            max_position_embeddings=256,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ).to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    Blip2ForConditionalGeneration(config).save_pretrained(folder)
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    Blip2Processor(images, tokenizer, num_query_tokens=4).save_pretrained(folder)
    return folder


def tiny_florence2(folder: Path) -> Path:
    """Write a Florence-2."""
    from transformers import Florence2Config, Florence2ForConditionalGeneration, Florence2Processor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = word_tokenizer(extra_special_tokens={"image_token": "<image>"})
    torch.manual_seed(0)
    config = Florence2Config(
        vision_config={
            "embed_dim": [16, 16, 16, 16],
            "num_heads": [2, 2, 2, 2],
            "num_groups": [2, 2, 2, 2],
            "depths": [1, 1, 1, 1],
            "window_size": 2,
            "projection_dim": 32,
        },
        text_config={
            "model_type": "bart",
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 256,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "decoder_start_token_id": tokenizer.eos_token_id,
            "forced_eos_token_id": tokenizer.eos_token_id,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        is_encoder_decoder=True,
    )
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"height": 64, "width": 64}, crop_size={"height": 64, "width": 64})
    images.image_seq_length = 5
    Florence2Processor(images, tokenizer).save_pretrained(folder)
    return folder


def word_tokenizer(**arguments: Any) -> Any:
    """Return a tokenizer that knows some words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<s>", "<pad>", "</s>", "<unk>", "<image>", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        **arguments,
    )


def tiny_deepbooru(path: Path, tags: tuple[str, ...], base: int = 4) -> Path:
    """Write a Deepbooru file as published: tensors by `n_Conv_N.weight` and `.bias`, and the list "tags"."""
    from trainer.captions.deepbooru_model import DeepDanbooru

    torch.manual_seed(0)
    torch.save({**DeepDanbooru(list(tags), base).state_dict(), "tags": list(tags)}, path)
    return path


def tiny_wd(folder: Path, tags: tuple[tuple[str, int], ...], batch: int | str = "batch_size", side: int = 448) -> Path:
    """Write a WD tagger as published: NHWC pictures in, scores out, and the list of tags.

    The score of tag k is the sigmoid of a linear function of the mean blue, green and red.
    """
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    count = len(tags)
    weights = np.linspace(-0.02, 0.02, 3 * count, dtype=np.float32).reshape(3, count)
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, side, side, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, count])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1, 2]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    rows = "".join(f"{place},{name},{category},{1000 - place}\n" for place, (name, category) in enumerate(tags))
    (folder / "selected_tags.csv").write_text(f"tag_id,name,category,count\n{rows}")
    return folder
