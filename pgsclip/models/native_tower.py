"""open_clip's own `VisionTransformer`, in two halves."""

from __future__ import annotations

import torch
from jaxtyping import Float
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from pgsclip.models.towers import ImageTower


class NativeTower(ImageTower):
    """Equal to the tower's own forward when every patch is kept, whatever its pooling."""

    tower: VisionTransformer

    def __init__(self, tower: VisionTransformer) -> None:
        super().__init__(tower)
        self.patch_size = tuple(tower.patch_size)
        self.image_size = tuple(tower.image_size)

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        tower = self.tower
        patches = tower.conv1(images).flatten(2).mT
        positions = tower.positional_embedding.to(patches.dtype)
        first = tower.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        return first + positions[:1], patches + positions[1:]

    def encode(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B E"]:
        tower = self.tower
        hidden = tower.transformer(tower.ln_pre(torch.cat([prefix, patches], dim=1)))
        pooled: Tensor = tower._pool(hidden)[0]
        return pooled if tower.proj is None else pooled @ tower.proj.to(pooled.dtype)

    def borrowed_parameters(self) -> list[nn.Parameter]:
        tower = self.tower
        found = (tower.class_embedding, tower.positional_embedding, tower.proj)
        return [parameter for parameter in found if parameter is not None]
