"""`config.json` of Hugging Face's `transformers.CLIPModel`, from an open_clip model and back.

`CLIPModel` is OpenAI's CLIP and no more: a ViT that pools its class token between two layer norms, and a causal text
tower that pools at the end of text. What open_clip can build beyond it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU, ResidualAttentionBlock, TextTransformer, VisionTransformer
from torch import nn

from pgsclip.errors import ModelError

_EPS = 1e-5
VOCABULARY = 49408
"""Of CLIP's own tokenizer, whose last entry ends a text."""
_INTERPOLATION = {"bilinear": 2, "bicubic": 3}
"""As PIL numbers them."""


def to_config(model: nn.Module, tokenizer: object) -> dict[str, Any]:
    """The `config.json` with which `CLIPModel` computes what this model computes.

    Raises:
        ModelError: `CLIPModel` cannot express the model; all reasons at once.
    """
    reasons = list(_reasons(model, tokenizer))
    if reasons:
        raise ModelError(
            f"transformers.CLIPModel cannot express this model: {'; '.join(reasons)}. Export it --to open_clip, "
            f"which takes every model."
        )
    visual = cast(VisionTransformer, model.visual)
    text = _text(model)
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": int(visual.proj.shape[1]),
        "logit_scale_init_value": float(cast(Any, model.logit_scale).detach()),
        "vision_config": {
            "model_type": "clip_vision_model",
            "image_size": visual.image_size[0],
            "patch_size": visual.patch_size[0],
            "projection_dim": int(visual.proj.shape[1]),
            **_tower(visual.transformer, visual.ln_post),
        },
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": VOCABULARY,
            "max_position_embeddings": int(text.positional_embedding.shape[0]),
            "bos_token_id": VOCABULARY - 2,
            "eos_token_id": VOCABULARY - 1,
            "pad_token_id": VOCABULARY - 1,
            "projection_dim": int(visual.proj.shape[1]),
            **_tower(text.transformer, text.ln_final),
        },
    }


def to_preprocessor(preprocess: Mapping[str, Any]) -> dict[str, Any]:
    """The `preprocessor_config.json` of a CLIPImageProcessor from open_clip's preprocessing.

    Raises:
        ModelError: images are made fit in a way that it does not know.
    """
    mode, interpolation = preprocess["resize_mode"], preprocess["interpolation"]
    if mode not in ("shortest", "squash") or interpolation not in _INTERPOLATION:
        raise ModelError(
            f"CLIPImageProcessor cannot resize as this model wants it (resize_mode {mode!r}, interpolation "
            f"{interpolation!r}): it knows shortest and squash, bicubic and bilinear. Export the model --to open_clip."
        )
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else size
    square = {"height": height, "width": width}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": height} if mode == "shortest" else square,
        "resample": _INTERPOLATION[interpolation],
        "do_center_crop": mode == "shortest",
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocess["mean"]),
        "image_std": list(preprocess["std"]),
    }


def from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's `model_cfg` for the `config.json` of a `CLIPModel`; a key that is absent has OpenAI's value.

    Raises:
        ModelError: open_clip cannot express it.
    """
    vision, text = config.get("vision_config") or {}, config.get("text_config") or {}
    act = _same("hidden_act", vision, text, "quick_gelu")
    eps = _same("layer_norm_eps", vision, text, _EPS)
    if act not in ("gelu", "quick_gelu"):
        raise ModelError(f"This CLIPModel computes with hidden_act {act!r}; gelu and quick_gelu are known.")
    if (text.get("vocab_size", VOCABULARY), text.get("eos_token_id", 2)) not in ((VOCABULARY, 2), (VOCABULARY, 49407)):
        raise ModelError(
            f"This CLIPModel reads another vocabulary than CLIP's (vocab_size {text.get('vocab_size')}, eos_token_id "
            f"{text.get('eos_token_id')}; expected {VOCABULARY} and 49407)."
        )
    width, text_width = int(vision.get("hidden_size", 768)), int(text.get("hidden_size", 512))
    norm = {} if eps == _EPS else {"norm_kwargs": {"eps": eps}}
    return {
        "embed_dim": int(config.get("projection_dim", 512)),
        "quick_gelu": act == "quick_gelu",
        "vision_cfg": {
            "image_size": vision.get("image_size", 224),
            "patch_size": vision.get("patch_size", 32),
            "width": width,
            "layers": int(vision.get("num_hidden_layers", 12)),
            "head_width": width // int(vision.get("num_attention_heads", 12)),
            "mlp_ratio": _ratio(int(vision.get("intermediate_size", 3072)), width),
            **norm,
        },
        "text_cfg": {
            "context_length": int(text.get("max_position_embeddings", 77)),
            "vocab_size": VOCABULARY,
            "width": text_width,
            "heads": int(text.get("num_attention_heads", 8)),
            "layers": int(text.get("num_hidden_layers", 12)),
            "mlp_ratio": _ratio(int(text.get("intermediate_size", 2048)), text_width),
            **norm,
        },
    }


def from_preprocessor(processor: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's `preprocess_cfg` for the configuration of a CLIPImageProcessor; the size is the model's."""
    names = {number: name for name, number in _INTERPOLATION.items()}
    found = {
        "mean": processor.get("image_mean"),
        "std": processor.get("image_std"),
        "interpolation": names.get(processor.get("resample", 3)),
        "resize_mode": "shortest" if processor.get("do_center_crop", True) else "squash",
    }
    return {key: value for key, value in found.items() if value is not None}


def _tower(transformer: Any, last_norm: nn.LayerNorm) -> dict[str, Any]:
    block = transformer.resblocks[0]
    return {
        "hidden_size": int(block.attn.embed_dim),
        "intermediate_size": int(block.mlp.c_fc.out_features),
        "num_hidden_layers": len(transformer.resblocks),
        "num_attention_heads": int(block.attn.num_heads),
        "hidden_act": _act(block),
        "layer_norm_eps": last_norm.eps,
        "attention_dropout": 0.0,
    }


def _text(model: Any) -> Any:
    return model if isinstance(model, CLIP) else model.text


def _act(block: Any) -> str | None:
    act = block.mlp.gelu
    if isinstance(act, QuickGELU):
        return "quick_gelu"
    return "gelu" if isinstance(act, nn.GELU) and act.approximate == "none" else None


def _reasons(model: Any, tokenizer: object) -> list[str]:
    visual, text = model.visual, _text(model)
    found = []
    if not isinstance(visual, VisionTransformer):
        return [f"its image tower is a {type(getattr(visual, 'trunk', visual)).__name__} and not open_clip's own ViT"]
    if not isinstance(text, CLIP | TextTransformer):
        return [f"its text tower is a {type(text).__name__} and not open_clip's own"]
    if getattr(model, "logit_bias", None) is not None:
        found.append("it has a logit_bias (a model of the SigLIP loss)")
    blocks = [*visual.transformer.resblocks, *text.transformer.resblocks]
    return [*found, *_image_reasons(visual), *_text_reasons(text, tokenizer), *_block_reasons(blocks)]


def _image_reasons(visual: VisionTransformer) -> list[str]:
    found = []
    if visual.attn_pool is not None or visual.pool_type != "tok" or visual.final_ln_after_pool:
        found.append(f"its image tower pools by {visual.pool_type!r} or an attention, not by its class token")
    if isinstance(visual.ln_pre, nn.Identity):
        found.append("its image tower has no layer norm before the blocks")
    if len({*visual.image_size}) > 1 or len({*visual.patch_size}) > 1:
        found.append(f"its images or patches are not square: {visual.image_size}, {visual.patch_size}")
    return found


def _text_reasons(text: Any, tokenizer: object) -> list[str]:
    found = []
    pool = text.text_pool_type if isinstance(text, CLIP) else text.pool_type
    end = text.text_eos_id if isinstance(text, CLIP) else text.eos_id
    if text.attn_mask is None or getattr(text, "cls_emb", None) is not None:
        found.append("its text tower is not plainly causal")
    if not (pool == "argmax" or (pool == "eos" and end == VOCABULARY - 1)):
        found.append(f"its text tower pools by {pool!r} and not at the end of text")
    if not isinstance(text.text_projection, nn.Parameter):
        found.append("its text projection has a bias or is missing")
    if text.token_embedding.num_embeddings != VOCABULARY or not isinstance(tokenizer, SimpleTokenizer):
        found.append("it does not read CLIP's own vocabulary")
    return found


def _block_reasons(blocks: list[Any]) -> list[str]:
    if not all(isinstance(one, ResidualAttentionBlock) and isinstance(one.ls_1, nn.Identity) for one in blocks):
        return ["its blocks are not plain (layer scale, or attention of another kind)"]
    if any(_act(one) is None for one in blocks):
        return [f"its activation {blocks[0].mlp.gelu} is neither GELU nor QuickGELU"]
    return []


def _same(key: str, vision: Mapping[str, Any], text: Mapping[str, Any], default: Any) -> Any:
    first, second = vision.get(key, default), text.get(key, default)
    if first != second:
        raise ModelError(f"This CLIPModel has {key} {first} for images and {second} for texts; open_clip has one.")
    return first


def _ratio(inner: int, width: int) -> float:
    """open_clip multiplies it with the width and cuts off what lies behind the point."""
    return inner / width if int(width * (inner / width)) == inner else (inner + 0.5) / width
