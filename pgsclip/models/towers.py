"""Image towers that can be shown a part of their patches.

open_clip's own forward has no place for a choice per image, so an adapter drives the submodules of a tower in two
halves: `embed` up to the position embedding, `encode` from the first block on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Chosen = tuple[Tensor, Tensor]
"""Rows of the batch (b,) int64, and the patches that they keep (b, K) int64."""
Choose = Callable[[Tensor, Tensor], list[Chosen]]
"""(images, detached patches) → groups that cover every row once."""


class Encoded(NamedTuple):
    """Features of a batch, and how much of it was seen."""

    features: Float[Tensor, "B E"]
    """Not normalised."""
    kept: float
    """Mean share of patches that went through the blocks; from shapes, so nothing waits for the device."""


class ImageTower(nn.Module):
    """Adapter of one tower. Owns no parameters: the model that it drives stays where open_clip put it."""

    patch_size: tuple[int, int]
    image_size: tuple[int, int]

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        # Hidden from nn.Module, or every weight would be in the state dict twice.
        object.__setattr__(self, "tower", tower)

    @abstractmethod
    def embed(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B P D"], Float[Tensor, "B L D"]]:
        """Prefix (class and register tokens) and patches, with position embedding, before the first block."""

    @abstractmethod
    def encode(self, prefix: Float[Tensor, "B P D"], patches: Float[Tensor, "B K D"]) -> Float[Tensor, "B E"]:
        """Features of the given patches."""

    @abstractmethod
    def borrowed_parameters(self) -> list[nn.Parameter]:
        """Parameters read here although another module owns them; ZeRO-3 must be told to gather them."""

    def forward(self, images: Float[Tensor, "B 3 H W"], choose: Choose | None = None) -> Encoded:
        """Features in batch order; without `choose` every patch is seen."""
        prefix, patches = self.embed(images)
        if choose is None:
            return Encoded(self.encode(prefix, patches), 1.0)
        groups = choose(self.crop(images), patches.detach())
        parts = [self.encode(prefix[rows], take_patches(patches[rows], keep)) for rows, keep in groups]
        seen = sum(keep.shape[0] * keep.shape[1] for _, keep in groups)
        return Encoded(
            in_batch_order(parts, [rows for rows, _ in groups]), seen / (patches.shape[0] * patches.shape[1])
        )

    def crop(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 h w"]:
        """Without the pixels right and below that the patch convolution does not reach either."""
        down, across = self.patch_size
        height, width = images.shape[2] // down * down, images.shape[3] // across * across
        return images[:, :, :height, :width]


def take_patches(patches: Float[Tensor, "B L D"], keep: Int[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    """`patches[b, keep[b]]` for every image b."""
    return patches.gather(1, keep.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))


def in_batch_order(parts: list[Tensor], rows: list[Tensor]) -> Tensor:
    """Undo the sorting of groups: row `rows[g][i]` of the result is `parts[g][i]`."""
    if len(parts) == 1 and parts[0].shape[0] == 0:
        return parts[0]
    order = torch.cat(rows)
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return torch.cat(parts)[inverse.to(parts[0].device)]
