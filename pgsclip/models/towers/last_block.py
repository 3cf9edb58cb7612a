"""A transformer of which one token is pooled needs its last block for that token alone.

Keys and values of all tokens, but one query, one row of attention, one output and one MLP: five sixths of the products
of a block are not made. Exact, forward and backward: what is left out reaches no feature.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from open_clip.transformer import ResidualAttentionBlock, Transformer
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pgsclip.models.towers.attention import PackedAttention


def is_plain(transformer: Transformer) -> bool:
    """Whether the last block is made of parts that can be run for one token, and nobody watches it as a whole.

    ZeRO-3 does, so there it runs whole.
    """
    last = transformer.resblocks[-1]
    known = type(last) is ResidualAttentionBlock and type(last.attn) is PackedAttention
    watched = last._forward_hooks or last._forward_pre_hooks or last._backward_hooks or last._backward_pre_hooks
    return bool(known and transformer.batch_first and not hasattr(last, "ln_1_kv") and not watched)


def encode_one_token(
    transformer: Transformer,
    hidden: Float[Tensor, "B N D"],
    place: Int[Tensor, " B"] | int,
    mask: Float[Tensor, "N N"] | None = None,
) -> Float[Tensor, "B 1 D"]:
    """The token at `place` after all blocks.

    Args:
        mask: added to the logits of attention.
    """
    *first, last = transformer.resblocks
    for block in first:
        if transformer.grad_checkpointing:
            hidden = checkpoint(block, hidden, None, None, mask, use_reentrant=False)
        else:
            hidden = block(hidden, attn_mask=mask)
    return _last(last, hidden, place, mask)


def _last(block: Any, hidden: Tensor, place: Tensor | int, mask: Tensor | None) -> Tensor:
    rows = torch.arange(len(hidden), device=hidden.device)
    at = (slice(None), slice(place, place + 1)) if isinstance(place, int) else (rows.unsqueeze(1), place.unsqueeze(1))
    normed = block.ln_1(hidden)
    seen = None if mask is None else mask.to(normed.dtype)[place].reshape(-1, 1, 1, mask.shape[1])
    looked = block.attn(normed[at], normed, normed, need_weights=False, attn_mask=seen)[0]
    token = hidden[at] + block.ls_1(looked)
    after: Tensor = token + block.ls_2(block.mlp(block.ln_2(token)))
    return after
