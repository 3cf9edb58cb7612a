"""`transformers.CLIPVisionModel`, with or without its projection, in two halves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgsclip.models.towers.image_tower import ImageTower, class_token_attention, resize_positions

_CLASSES = {"CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPVisionTransformer"}


def is_clip_vision(tower: nn.Module) -> bool:
    """Whether it is one; known by the name of its class or of one above it, as transformers need not be installed."""
    return any(kind.__name__ in _CLASSES and kind.__module__.startswith("transformers.") for kind in type(tower).mro())


class TransformersTower(ImageTower):
    """Features are the `pooler_output`, or the `image_embeds` where there is a projection."""

    tower: Any

    def __init__(self, tower: nn.Module) -> None:
        super().__init__(tower)
        size, patch = self.tower.config.image_size, self.tower.config.patch_size
        self.image_size = (size, size) if isinstance(size, int) else tuple(size)
        self.patch_size = (patch, patch) if isinstance(patch, int) else tuple(patch)

    @property
    def _core(self) -> Any:
        """The part with the blocks; transformers before 5 wraps it once more."""
        return getattr(self.tower, "vision_model", self.tower)

    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        embeddings = self._core.embeddings
        kernel = embeddings.patch_embedding
        patches = kernel(images.to(kernel.weight.dtype)).flatten(2).mT
        positions = embeddings.position_embedding.weight
        first = embeddings.class_embedding.expand(len(patches), 1, -1)
        places = positions[1:]
        if patches.shape[1] != len(places):
            was, now = (
                (size[0] // self.patch_size[0], size[1] // self.patch_size[1])
                for size in (self.image_size, tuple(images.shape[2:]))
            )
            places = resize_positions(places, was, now)
        return first + positions[:1], patches + places

    def pool(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B W"]:
        core = self._core
        hidden = core.pre_layrnorm(torch.cat([prefix, patches], dim=1))
        pooled: Tensor = core.post_layernorm(core.encoder(inputs_embeds=hidden).last_hidden_state[:, 0])
        return pooled

    def project(self, pooled: Float[Tensor, "B W"]) -> Float[Tensor, "B E"]:
        projection = getattr(self.tower, "visual_projection", None)
        features: Tensor = pooled if projection is None else projection(pooled)
        return features

    @property
    def width(self) -> int:
        return int(self.tower.config.hidden_size)

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self._core.encoder.layers)

    def class_attention(self) -> list[tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]:
        """Told from the norm before each attention, which is called with names that a hook does not see."""
        layers: list[Any] = self.blocks
        return [(layer.layer_norm1, partial(_row, layer.self_attn)) for layer in layers]

    def external_parameters(self) -> list[nn.Parameter]:
        embeddings = self._core.embeddings
        return [embeddings.class_embedding, embeddings.position_embedding.weight]


def _row(attention: Any, norm: Any, hidden: Tensor) -> Tensor:
    rows = norm.forward(hidden)  # not norm(hidden), which would come by here again
    query, keys = attention.q_proj(rows[:, 0]), attention.k_proj(rows)
    heads = attention.num_heads
    return class_token_attention(query.reshape(len(rows), heads, -1), keys.reshape(*keys.shape[:2], heads, -1))
