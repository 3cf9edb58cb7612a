"""A timm `Eva` (EVA-02, Perception Encoder, DINOv3), by itself or inside open_clip's `TimmModel`, in two halves.

Its blocks turn queries and keys by their positions (rotary embeddings, arXiv 2104.09864), so patches that are left take
the angles of the places where they stood.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from timm.layers import apply_keep_indices_nlc
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pgsclip.errors import ModelError
from pgsclip.models.towers.timm_vit import TimmTower


class EvaTower(TimmTower):
    """Any prefix, any pooling, and learned, rotary or both kinds of positions."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__(tower)
        self._grid = tuple(self._trunk.patch_embed.grid_size)  # of the images that were embedded last

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        trunk = self._trunk
        own, trunk.patch_drop = trunk.patch_drop, None  # we choose
        try:
            embedded = trunk._pos_embed(trunk.patch_embed(images))[0]
        finally:
            trunk.patch_drop = own
        self._grid = trunk.patch_embed.dynamic_feat_size(images.shape[2:])
        return embedded[:, : trunk.num_prefix_tokens], embedded[:, trunk.num_prefix_tokens :]

    def pool(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B W"]:
        return self._pool(prefix, patches, self._angles())

    def pool_kept(
        self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"], keep: Int[Tensor, "B K"]
    ) -> Float[Tensor, "B W"]:
        angles = self._angles()
        if angles is not None:
            kept = apply_keep_indices_nlc(patches, angles, keep)
            # One axis stands for the heads, or, where every block has angles of its own, for the blocks.
            angles = kept.transpose(0, 1) if self._differ else kept.unsqueeze(1)
        return self._pool(prefix, patches, angles)

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self._trunk.blocks)

    def class_attention(self) -> list[tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]:
        raise ModelError(
            "The attention of timm's Eva towers (EVA-02, Perception Encoder) is not told; take a model with plain "
            "blocks, such as ViT-B-16, or another masker."
        )

    def external_parameters(self) -> list[nn.Parameter]:
        angles = [] if self._trunk.rope is None else list(self._trunk.rope.parameters())
        return [*super().external_parameters(), *angles]

    @property
    def _differ(self) -> bool:
        """Whether every block has angles of its own, which are learned."""
        return bool(getattr(self._trunk, "rope_mixed", False))

    def _angles(self) -> Tensor | None:
        """Sines and cosines of all patches, (L, d), or of each block and head, (N, h, L, d); None without rotation."""
        rope = self._trunk.rope
        if rope is None:
            return None
        cached = getattr(rope, "feat_shape", None) is not None
        found: Tensor = rope.get_embed() if cached else rope.get_embed(shape=self._grid)
        return found

    def _pool(self, prefix: Tensor, patches: Tensor, angles: Tensor | None) -> Tensor:
        trunk = self._trunk
        hidden = trunk.norm_pre(torch.cat([prefix, patches], dim=1))
        for depth, block in enumerate(trunk.blocks):
            turn = angles[depth] if self._differ and angles is not None else angles
            if trunk.grad_checkpointing:
                hidden = checkpoint(block, hidden, rope=turn, use_reentrant=False)
            else:
                hidden = block(hidden, rope=turn)
        pooled: Tensor = trunk.forward_head(trunk.norm(hidden), pre_logits=True)
        return pooled
