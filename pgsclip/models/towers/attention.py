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
    """Takes over where some tokens look at themselves or at others, and nobody asks where; all else is torch's.

    A mask may also have four dimensions, (B, 1, Q, N), which torch's own knows only as one for each head.
    """

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *arguments: Any, **options: Any) -> Any:
        if query.ndim != 3 or arguments or _wants_more(**options):
            return super().forward(query, key, value, *arguments, **options)
        if query is key and key is value:
            queries, keys, values = self._heads(query, 0, 3)
        elif key is value:
            queries, (keys, values) = self._heads(query, 0, 1)[0], self._heads(key, 1, 3)
        else:  # also where ZeRO-3 hands one tensor over as three, each of which must have its gradient
            queries, keys, values = (self._heads(one, at, at + 1)[0] for at, one in enumerate((query, key, value)))
        seen: Tensor = F.scaled_dot_product_attention(queries, keys, values, options.get("attn_mask"))
        return self.out_proj(seen.transpose(1, 2).flatten(2)), None

    def _heads(self, tokens: Tensor, first: int, end: int) -> Tensor:
        """(J, B, h, N, d): of queries, keys and values those from `first` to before `end`; a view."""
        part = slice(first * self.embed_dim, end * self.embed_dim)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[part]
        packed = F.linear(tokens, self.in_proj_weight[part], bias)
        return packed.reshape(*tokens.shape[:2], end - first, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)


def pack_attention(blocks: nn.Module) -> None:
    """Let all plain attention of some transformer blocks run packed; names, weights and copies stay as they are."""
    for module in blocks.modules():
        if type(module) is nn.MultiheadAttention and _is_plain(module):
            module.__class__ = PackedAttention


def _wants_more(*, need_weights: bool = True, attn_mask: Tensor | None = None, **others: Any) -> bool:
    """A mask of truth values means the opposite in the fused kernels, and one for each head has other dimensions."""
    usual = attn_mask is None or (attn_mask.ndim in (2, 4) and attn_mask.is_floating_point())
    return need_weights or not usual or any(value is not None for value in others.values())


def _is_plain(module: nn.MultiheadAttention) -> bool:
    own = module._qkv_same_embed_dim and module.bias_k is None and not module.add_zero_attn
    return bool(own and module.batch_first and module.dropout == 0)
