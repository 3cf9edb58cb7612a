"""A timm `VisionTransformer`, by itself or inside open_clip's `TimmModel`, in two halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from open_clip.timm_model import TimmModel
from timm.models import checkpoint_seq
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from pgsclip.errors import ModelError
from pgsclip.models.towers.image_tower import ImageTower, class_token_attention
from pgsclip.models.towers.patch_embedding import multiply_patches


class TimmTower(ImageTower):
    """Any prefix (class token, register tokens, none as in SigLIP) and any pooling that the trunk has.

    A stem of convolutions (MobileCLIP-B, ViTamin) sees the whole image, and its positions are chosen among.
    """

    tower: Any

    def __init__(self, tower: nn.Module) -> None:
        super().__init__(tower)
        embed = self._trunk.patch_embed
        self.image_size = tuple(embed.img_size or self.tower.image_size)
        if hasattr(embed, "backbone"):
            self.patch_size = _stride(self.image_size, embed.grid_size)
        else:
            self.patch_size = tuple(embed.patch_size)
            multiply_patches(embed.proj)

    @property
    def _trunk(self) -> Any:
        return getattr(self.tower, "trunk", self.tower)

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        trunk = self._trunk
        embedded = trunk._pos_embed(trunk.patch_embed(images))
        return embedded[:, : trunk.num_prefix_tokens], embedded[:, trunk.num_prefix_tokens :]

    def pool(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B W"]:
        trunk = self._trunk
        hidden = trunk.norm_pre(torch.cat([prefix, patches], dim=1))
        hidden = checkpoint_seq(trunk.blocks, hidden) if trunk.grad_checkpointing else trunk.blocks(hidden)
        pooled: Tensor = trunk.forward_head(trunk.norm(hidden), pre_logits=True)
        return pooled

    def project(self, pooled: Float[Tensor, "B W"]) -> Float[Tensor, "B E"]:
        features: Tensor = self._trunk.head(pooled)
        if isinstance(self.tower, TimmModel):
            features = self.tower.head(features)
        return features

    @property
    def width(self) -> int:
        return int(self._trunk.num_features)

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self._trunk.blocks)

    def attend(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N h L"]]:
        if images.shape[2:] != self.image_size:
            raise ModelError(
                f"timm's image towers look at images of their own size only, here {self.image_size}, not at "
                f"{tuple(images.shape[2:])}; take an open_clip ViT, such as ViT-B-16, or leave out what resizes."
            )
        return super().attend(images)

    def class_attention(self) -> list[tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]:
        trunk = self._trunk
        if trunk.cls_token is None:
            raise ModelError(
                "This image tower has no class token whose attention could be told; take a model with one, such as "
                "ViT-B-16, or another masker."
            )
        modules: list[Any] = [block.attn for block in self.blocks]
        for module in modules:
            if not isinstance(module, Attention):
                raise ModelError(
                    f"The blocks of this image tower hold {type(module).__name__}, whose attention is not told; take a "
                    f"model with plain blocks, such as ViT-B-16, or another masker."
                )
        return [(module, _row) for module in modules]

    def external_parameters(self) -> list[nn.Parameter]:
        trunk = self._trunk
        found = (trunk.pos_embed, trunk.cls_token, trunk.reg_token)
        return [parameter for parameter in found if parameter is not None]


def _stride(image_size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Pixels of an image for each position of the grid that a stem makes of it.

    Raises:
        ModelError: there is no whole number of them.
    """
    if any(side % positions for side, positions in zip(image_size, grid, strict=True)):
        raise ModelError(
            f"The stem of this image tower makes {grid[0]} x {grid[1]} positions of {image_size[0]} x {image_size[1]} "
            f"pixels, which is no regular grid of patches, so that none can be hidden. Take an image size that they "
            f"divide, or a ViT with a patch embedding, such as ViT-B-16."
        )
    return image_size[0] // grid[0], image_size[1] // grid[1]


def _row(attention: Any, hidden: Tensor) -> Tensor:
    """Query and keys as the module's own forward makes them; the values are computed in vain, being one product."""
    rows = attention.qkv(hidden)
    query, keys, _ = rows.reshape(*rows.shape[:2], 3, attention.num_heads, -1).unbind(2)
    return class_token_attention(attention.q_norm(query[:, 0]), attention.k_norm(keys))
