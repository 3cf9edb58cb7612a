"""Bytes to what a model reads. Batches travel as bytes: a quarter of what float32 would be, from the loader's
processes through page-locked memory to the device, where they become numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn


class Normalise(nn.Module):
    """Scales bytes to [0, 1], takes the mean off and divides by the deviation, of each channel.

    Its constants move with the module and are no part of its state.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        scale = [1 / (255 * one) for one in std]
        shift = [middle / one for middle, one in zip(mean, std, strict=True)]
        self.register_buffer("scale", torch.tensor(scale).reshape(3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).reshape(3, 1, 1), persistent=False)

    def forward(self, images: UInt8[Tensor, "*B 3 H W"] | Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
        """Images that are numbers already are given back as they are."""
        return images.float().mul_(self.scale).sub_(self.shift) if images.dtype == torch.uint8 else images
