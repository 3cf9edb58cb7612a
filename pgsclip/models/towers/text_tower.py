"""The text tower, run in buckets of captions that are each cut to their longest.

Exact, not an approximation: under a causal mask nothing after the end-of-text token can reach it, and it is the only
one that is pooled. Towers of another kind run uncut.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int
from open_clip.model import CLIP
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn

from pgsclip.bucketing import Bucket
from pgsclip.models.towers.attention import pack_attention
from pgsclip.models.towers.image_tower import restore_batch_order
from pgsclip.models.towers.last_block import encode_one_token, is_plain
from pgsclip.token_ids import find_ends


class TextTower(nn.Module):
    """Adapter of a model's text side: the root of a `CLIP`, the `TextTransformer` of a `CustomTextCLIP`, or any other.

    Owns no parameters, as `ImageTower`.
    """

    tower: Any

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        tower: Any = model if isinstance(model, CLIP) else model.text
        object.__setattr__(self, "tower", tower)
        self._pool = tower.text_pool_type if isinstance(model, CLIP) else getattr(tower, "pool_type", "")
        self._end: Any = getattr(tower, "text_eos_id" if isinstance(model, CLIP) else "eos_id", None)
        self._drives = isinstance(tower, CLIP | TextTransformer)
        if self._drives:
            pack_attention(tower.transformer)
        self.can_cut = (
            self._drives
            and tower.attn_mask is not None
            and self._ends_at_the_largest_id()
            and getattr(tower, "cls_emb", None) is None
            and not getattr(tower, "use_pad_mask", False)
        )

    def forward(self, texts: Int[Tensor, "T N"], buckets: list[Bucket] | None = None) -> Float[Tensor, "T E"]:
        """Encode captions, in batch order, not normalised.

        Args:
            texts: token ids.
            buckets: rows with the length they are cut to; None runs all rows whole, as `can_cut` false demands.
        """
        if buckets is None or not self.can_cut:
            return self._whole(texts)
        rows = _on_device([bucket.rows for bucket in buckets], texts.device)
        # Looked up once: the gradient of the table is as large as the table, for every look-up.
        embedded = self._embed(texts[:, : max(bucket.length for bucket in buckets)])
        parts = [
            self._encode(embedded[own, : bucket.length], texts[own, : bucket.length])
            for own, bucket in zip(rows, buckets, strict=True)
        ]
        return restore_batch_order(parts, rows)

    def _ends_at_the_largest_id(self) -> bool:
        """The loader measures captions by it; XLM's tokenizer, of open_clip's worldwide models, ends them with id 2."""
        last = getattr(getattr(self.tower, "token_embedding", None), "num_embeddings", 0) - 1
        return self._pool == "argmax" or (self._pool == "eos" and self._end == last)

    def _ends(self, texts: Tensor) -> Tensor:
        """Where the token that is pooled stands."""
        return find_ends(texts) if self._pool == "argmax" else texts.eq(self._end).int().argmax(dim=1)

    def external_parameters(self) -> list[nn.Parameter]:
        """Parameters read here although another module owns them; ZeRO-3 must be told to gather them."""
        if not self._drives:
            return []
        found = (self.tower.positional_embedding, self.tower.text_projection, getattr(self.tower, "cls_emb", None))
        return [parameter for parameter in found if isinstance(parameter, nn.Parameter)]

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer's layers, in order; none of a tower of another kind."""
        return list(self.tower.transformer.resblocks) if self._drives else []

    def _whole(self, texts: Tensor) -> Tensor:
        if self.can_cut:
            return self._encode(self._embed(texts), texts)
        features: Tensor = self.tower.encode_text(texts) if isinstance(self.tower, CLIP) else self.tower(texts)
        return features

    def _embed(self, texts: Tensor) -> Tensor:
        tower = self.tower
        dtype = tower.transformer.get_cast_dtype()
        embedded: Tensor = tower.token_embedding(texts).to(dtype)
        positioned: Tensor = embedded + tower.positional_embedding[: texts.shape[1]].to(dtype)
        return positioned

    def _encode(self, embedded: Tensor, texts: Tensor) -> Tensor:
        tower, length = self.tower, texts.shape[1]
        mask = tower.attn_mask[:length, :length]
        if is_plain(tower.transformer):
            pooled: Tensor = tower.ln_final(encode_one_token(tower.transformer, embedded, self._ends(texts), mask))[
                :, 0
            ]
        else:
            hidden = tower.ln_final(tower.transformer(embedded, attn_mask=mask))
            pooled = text_global_pool(hidden, texts, self._pool, eos_token_id=self._end)
        projection = tower.text_projection
        if projection is None:
            return pooled
        projected: Tensor = projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
        return projected


def _on_device(rows: list[Tensor], device: torch.device) -> list[Tensor]:
    """One copy from page-locked memory, which the device makes when it gets there: plain ones would wait for it."""
    order = torch.cat(rows)
    if device.type == "cuda" and order.device.type == "cpu":
        order = order.pin_memory()
    return list(torch.tensor_split(order.to(device, non_blocking=True), list(accumulate(map(len, rows)))[:-1]))
