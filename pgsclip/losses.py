"""Contrastive losses, open_clip's, behind one call."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import open_clip
import torch
from jaxtyping import Float
from open_clip.loss import SigLipLoss as OpenClipSigLip
from torch import Tensor


@runtime_checkable
class ContrastiveLoss(Protocol):
    """Built as `cls(rank=…, world_size=…)`; called by every rank with its share of the batch."""

    needs_bias: ClassVar[bool]
    """Whether the model must have a `logit_bias`."""

    def __call__(
        self, images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"], scale: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Scalar loss of normalised float32 features; its gradient, averaged over ranks, is that of the whole batch."""


class ClipLoss:
    """Softmax over the global batch (arXiv 2103.00020, figure 3).

    `local_loss` with `gather_with_grad` is the pair that is both exact and does not compute the whole matrix on every
    rank.
    """

    needs_bias: ClassVar[bool] = False

    def __init__(self, *, rank: int, world_size: int) -> None:
        self._loss = open_clip.ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world_size)

    def __call__(
        self, images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"], scale: Tensor, bias: Tensor | None
    ) -> Tensor:
        return _in_float32(self._loss, images, texts, scale, None)


class SigLipLoss:
    """Sigmoid over every pair (arXiv 2303.15343); needs no global normalisation."""

    needs_bias: ClassVar[bool] = True

    def __init__(self, *, rank: int, world_size: int) -> None:
        self._loss = OpenClipSigLip(rank=rank, world_size=world_size)

    def __call__(
        self, images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"], scale: Tensor, bias: Tensor | None
    ) -> Tensor:
        return _in_float32(self._loss, images, texts, scale, bias)


@torch.no_grad()
def acc1(images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"]) -> Float[Tensor, ""]:
    """Share of images whose own text is the most similar of this batch."""
    nearest = (images @ texts.mT).argmax(dim=1)
    return (nearest == torch.arange(len(images), device=images.device)).float().mean()


def _in_float32(loss: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    with torch.autocast(images.device.type, enabled=False):
        return cast(Tensor, loss(images.float(), texts.float(), scale, bias).reshape(()))
