"""torch's self-attention with less memory moved: the same weights, the same result.

`nn.MultiheadAttention` cuts its packed projection into three contiguous copies, and its backward pass fills three
tensors of zeros as large as the packed one and adds them up. Here queries, keys and values are views of the projection,
which the fused kernels take as they are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


class PackedAttention(nn.MultiheadAttention):
    """Takes over where tokens look at themselves under one mask for all, and nobody asks where; all else is torch's."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *arguments: Any, **options: Any) -> Any:
        if not (query is key and key is value and query.ndim == 3) or arguments or _wants_more(**options):
            return super().forward(query, key, value, *arguments, **options)
        packed = F.linear(query, self.in_proj_weight, self.in_proj_bias)
        packed = packed.reshape(*query.shape[:2], 3, self.num_heads, -1)
        queries, keys, values = (part.transpose(1, 2) for part in packed.unbind(2))
        seen: Tensor = F.scaled_dot_product_attention(queries, keys, values, options.get("attn_mask"))
        return self.out_proj(seen.transpose(1, 2).flatten(2)), None


def pack_attention(blocks: nn.Module) -> None:
    """Let all plain attention of some transformer blocks run packed; names, weights and copies stay as they are."""
    for module in blocks.modules():
        if type(module) is nn.MultiheadAttention and _is_plain(module):
            module.__class__ = PackedAttention


def _wants_more(*, need_weights: bool = True, attn_mask: Tensor | None = None, **others: Any) -> bool:
    """A mask of truth values means the opposite in the fused kernels, and one for each head has other dimensions."""
    usual = attn_mask is None or (attn_mask.ndim == 2 and attn_mask.is_floating_point())
    return need_weights or not usual or any(value is not None for value in others.values())


def _is_plain(module: nn.MultiheadAttention) -> bool:
    own = module._qkv_same_embed_dim and module.bias_k is None and not module.add_zero_attn
    return bool(own and module.batch_first and module.dropout == 0)
