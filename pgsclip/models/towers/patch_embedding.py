"""A ViT's patch embedding as what it is, a matrix product.

On an H100 cuDNN takes ten times as long for it as the product does, as it finds no fast kernel for three channels. On a
CPU the convolution is the faster one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PatchEmbedding(nn.Conv2d):
    """The same weights under the same names; patches lie one after the other in memory."""

    def forward(self, images: Tensor) -> Tensor:
        if images.device.type != "cuda":
            return super().forward(images.contiguous(memory_format=torch.channels_last))
        return self.product(images)

    def product(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """What the convolution gives, in autocast's dtype where that is on."""
        down, across = self.kernel_size
        rows, columns = images.shape[2] // down, images.shape[3] // across
        cut = images[:, :, : rows * down, : columns * across]
        cut = cut.reshape(*images.shape[:2], rows, down, columns, across).permute(0, 2, 4, 1, 3, 5)
        device = images.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else images.dtype
        pixels = cut.to(dtype, memory_format=torch.contiguous_format)  # cast and put in order in one pass
        patches: Tensor = F.linear(pixels.flatten(3).flatten(1, 2), self.weight.flatten(1), self.bias)
        return patches.mT.reshape(len(images), -1, rows, columns)


def multiply_patches(convolution: nn.Conv2d) -> None:
    """Let a convolution whose kernel never overlaps run as a product."""
    plain = (
        convolution.groups == 1
        and set(convolution.dilation) == {1}
        and not isinstance(convolution.padding, str)
        and not any(convolution.padding)
    )
    if type(convolution) is nn.Conv2d and plain and convolution.kernel_size == convolution.stride:
        convolution.__class__ = PatchEmbedding
