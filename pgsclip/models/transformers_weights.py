"""The weights of a CLIP under the names of Hugging Face's `transformers.CLIPModel`, and back.

Both store the same tensors, apart from two things: open_clip keeps the three projections of an attention in one matrix,
and its projections to the common space are multiplied from the other side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_OUTSIDE = (
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.conv1", "vision_model.embeddings.patch_embedding"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.ln_pre", "vision_model.pre_layrnorm"),  # their spelling
    ("visual.ln_post", "vision_model.post_layernorm"),
    ("visual.proj", "visual_projection.weight"),
    ("visual.transformer.resblocks", "vision_model.encoder.layers"),
    ("token_embedding", "text_model.embeddings.token_embedding"),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("ln_final", "text_model.final_layer_norm"),
    ("text_projection", "text_projection.weight"),
    ("transformer.resblocks", "text_model.encoder.layers"),
    ("logit_scale", "logit_scale"),
)
_INSIDE = (
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("attn.out_proj", "self_attn.out_proj"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
)
_TRANSPOSED = {"visual.proj", "text_projection"}
_JOINT = re.compile(r"(.*)\.attn\.in_proj_(weight|bias)")
_SINGLE = re.compile(r"(.*)\.self_attn\.([qkv])_proj\.(weight|bias)")
_BLOCK = re.compile(r"(.+\.(?:resblocks|layers))\.(\d+)\.(.+)")


def is_transformers(state: Mapping[str, Tensor]) -> bool:
    """Whether weights carry the names of `transformers.CLIPModel`."""
    return "vision_model.embeddings.class_embedding" in state and "text_projection.weight" in state


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's weights under the names of `CLIPModel`.

    Raises:
        KeyError: a weight that `CLIPModel` has no place for; its name.
    """
    found: dict[str, Tensor] = {}
    for given, tensor in state.items():
        name = given.removeprefix("text.")  # of open_clip's CustomTextCLIP
        joint = _JOINT.fullmatch(name)
        if joint:
            block = _renamed(f"{joint[1]}.ln_1", _OUTSIDE, _INSIDE).removesuffix(".layer_norm1")
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                found[f"{block}.self_attn.{letter}_proj.{joint[2]}"] = part.contiguous()
        else:
            found[_renamed(name, _OUTSIDE, _INSIDE)] = tensor.mT.contiguous() if name in _TRANSPOSED else tensor
    found["logit_scale"] = found["logit_scale"].reshape(())
    return found


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `CLIPModel` under open_clip's names; what open_clip does not know keeps its name."""
    outside, inside = (tuple((theirs, ours) for ours, theirs in pairs) for pairs in (_OUTSIDE, _INSIDE))
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        single = _SINGLE.fullmatch(name)
        if name.endswith(".position_ids"):  # a buffer that files of transformers before 4.31 hold
            continue
        if single and single[2] == "q":
            parts = [state.get(f"{single[1]}.self_attn.{letter}_proj.{single[3]}") for letter in "qkv"]
            block = _renamed(f"{single[1]}.layer_norm1", outside, inside).removesuffix(".ln_1")
            found[f"{block}.attn.in_proj_{single[3]}"] = torch.cat([part for part in parts if part is not None])
        elif not single:
            try:
                ours = _renamed(name, outside, inside)
            except KeyError:
                ours = name
            found[ours] = tensor.mT.contiguous() if ours in _TRANSPOSED else tensor
    return found


def _renamed(name: str, outside: tuple[tuple[str, str], ...], inside: tuple[tuple[str, str], ...]) -> str:
    block = _BLOCK.fullmatch(name)
    if block:
        return f"{_renamed(block[1], outside, inside)}.{block[2]}.{_renamed(block[3], inside, ())}"
    for old, new in outside:
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    raise KeyError(name)
