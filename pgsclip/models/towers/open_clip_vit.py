"""open_clip's own `VisionTransformer`, in two halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.errors import ModelError
from pgsclip.models.towers.attention import pack_attention
from pgsclip.models.towers.image_tower import ImageTower, class_token_attention, resize_positions
from pgsclip.models.towers.last_block import encode_one_token, is_plain
from pgsclip.models.towers.patch_embedding import multiply_patches


class NativeTower(ImageTower):
    """Equal to the tower's own forward when every patch is kept, whatever its pooling."""

    tower: VisionTransformer

    def __init__(self, tower: VisionTransformer) -> None:
        super().__init__(tower)
        multiply_patches(tower.conv1)
        pack_attention(tower.transformer)
        self.patch_size = tuple(tower.patch_size)
        self.image_size = tuple(tower.image_size)

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        tower = self.tower
        patches = tower.conv1(images).flatten(2).mT
        positions = tower.positional_embedding.to(patches.dtype)
        first = tower.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        places = positions[1:]
        if patches.shape[1] != len(places):
            grid = images.shape[2] // self.patch_size[0], images.shape[3] // self.patch_size[1]
            places = resize_positions(places, tower.grid_size, grid)
        return first + positions[:1], patches + places

    def pool(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B W"]:
        tower = self.tower
        hidden = tower.ln_pre(torch.cat([prefix, patches], dim=1))
        if tower.pool_type == "tok" and tower.attn_pool is None and is_plain(tower.transformer):
            hidden = encode_one_token(tower.transformer, hidden, 0)
        else:
            hidden = tower.transformer(hidden)
        pooled: Tensor = tower._pool(hidden)[0]
        return pooled

    def project(self, pooled: Float[Tensor, "B W"]) -> Float[Tensor, "B E"]:
        proj = self.tower.proj
        return pooled if proj is None else pooled @ proj.to(pooled.dtype)

    @property
    def width(self) -> int:
        tower = self.tower
        return int(tower.output_dim if tower.proj is None else getattr(tower.proj, "ds_shape", tower.proj.shape)[0])

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.tower.transformer.resblocks)

    def class_attention(self) -> list[tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]:
        modules: list[Any] = [block.attn for block in self.blocks]
        for module in modules:
            if not isinstance(module, nn.MultiheadAttention):
                raise ModelError(
                    f"The blocks of this image tower hold {type(module).__name__}, whose attention is not told; take a "
                    f"model with open_clip's plain blocks, such as ViT-B-16, or another masker."
                )
        return [(module, _row) for module in modules]

    def external_parameters(self) -> list[nn.Parameter]:
        tower = self.tower
        found = (tower.class_embedding, tower.positional_embedding, tower.proj)
        return [parameter for parameter in found if parameter is not None]


def _row(attention: Any, hidden: Tensor) -> Tensor:
    heads = attention.num_heads
    to_query, to_key, _ = attention.in_proj_weight.chunk(3)
    query_bias, key_bias, _ = (None,) * 3 if attention.in_proj_bias is None else attention.in_proj_bias.chunk(3)
    query = F.linear(hidden[:, 0], to_query, query_bias).reshape(len(hidden), heads, -1)
    keys = F.linear(hidden, to_key, key_bias)
    return class_token_attention(query, keys.reshape(*keys.shape[:2], heads, -1))
