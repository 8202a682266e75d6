"""Networks with random weights, written as folders that transformers opens: they show how a network
is loaded and asked, and how long it takes, never how well it does."""

import json
from pathlib import Path
from typing import Any

SAM2_LARGE: dict[str, Any] = {
    "hidden_size": 144,
    "num_attention_heads": 2,
    "blocks_per_stage": [2, 6, 36, 4],
    "embed_dim_per_stage": [144, 288, 576, 1152],
    "num_attention_heads_per_stage": [2, 4, 8, 16],
    "window_size_per_stage": [8, 4, 16, 8],
    "window_positional_embedding_background_size": [7, 7],
    "global_attention_blocks": [23, 33, 43],
}
"""Hiera large, as in facebook/sam2.1-hiera-large's config.json."""

SAM2_SMALLEST: dict[str, Any] = {
    "hidden_size": 16,
    "num_attention_heads": 1,
    "blocks_per_stage": [1, 1, 1, 1],
    "embed_dim_per_stage": [16, 32, 64, 128],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "window_size_per_stage": [8, 4, 14, 7],
    "global_attention_blocks": [],
}


def sam2_config(backbone: dict[str, Any], kind: str = "Sam2") -> Any:
    """A configuration of SAM 2 around a Hiera backbone; `kind` Sam2 or Sam2Video."""
    import transformers

    channels = backbone["embed_dim_per_stage"][::-1]
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(**backbone), backbone_channel_list=channels
    )
    return getattr(transformers, f"{kind}Config")(vision_config=vision)


def write_sam2(folder: Path, backbone: dict[str, Any], kind: str = "Sam2") -> Path:
    """SAM 2 with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    getattr(transformers, f"{kind}Model")(sam2_config(backbone, kind)).save_pretrained(folder)
    return folder


def write_clip(folder: Path, *, large: bool = False) -> Path:
    """CLIP with random weights (ViT-L/14's shapes, or a toy's), a tokenizer of single letters."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    vision = dict(text, image_size=32, patch_size=8)
    both = {"num_hidden_layers": 2}
    dim = 16
    if large:
        text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
        vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}
        vision |= {"image_size": 224, "patch_size": 14, "num_hidden_layers": 24}
        both, dim = {"num_hidden_layers": 12}, 768
    letters = write_letters(folder)
    text |= {"vocab_size": len(letters), "max_position_embeddings": 77}
    text |= {"bos_token_id": letters["<|startoftext|>"], "eos_token_id": letters["<|endoftext|>"]}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=both | text, vision_config=both | vision, projection_dim=dim)
    CLIPModel(config).save_pretrained(folder)
    return folder


def write_letters(folder: Path) -> dict[str, int]:
    """CLIP's tokenizer without one merge: every letter is a token."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return vocabulary
