"""A timm `VisionTransformer` inside open_clip's `TimmModel`, in two halves."""

from __future__ import annotations

import torch
from jaxtyping import Float
from open_clip.timm_model import TimmModel
from timm.models import checkpoint_seq
from torch import Tensor, nn

from pgsclip.models.towers import ImageTower


class TimmTower(ImageTower):
    """Any prefix (class token, register tokens, none as in SigLIP) and any pooling that the trunk has."""

    tower: TimmModel

    def __init__(self, tower: TimmModel) -> None:
        super().__init__(tower)
        embed = tower.trunk.patch_embed
        self.patch_size = tuple(embed.patch_size)
        self.image_size = tuple(embed.img_size or tower.image_size)

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        trunk = self.tower.trunk
        embedded = trunk._pos_embed(trunk.patch_embed(images))
        return embedded[:, : trunk.num_prefix_tokens], embedded[:, trunk.num_prefix_tokens :]

    def encode(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B E"]:
        trunk = self.tower.trunk
        hidden = trunk.norm_pre(torch.cat([prefix, patches], dim=1))
        hidden = checkpoint_seq(trunk.blocks, hidden) if trunk.grad_checkpointing else trunk.blocks(hidden)
        features: Tensor = self.tower.head(trunk.forward_head(trunk.norm(hidden)))
        return features

    def borrowed_parameters(self) -> list[nn.Parameter]:
        trunk = self.tower.trunk
        found = (trunk.pos_embed, trunk.cls_token, trunk.reg_token)
        return [parameter for parameter in found if parameter is not None]
