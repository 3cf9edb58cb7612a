"""Contrastive losses behind one call: open_clip's while the logits are few, the same in chunks where they are many."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import open_clip
import torch
from jaxtyping import Float
from open_clip.loss import SigLipLoss as OpenClipSigLip
from torch import Tensor

from pgsclip.distributed import gather_features
from pgsclip.losses.chunked import clip_loss, row_cross_entropy, sigmoid_loss

_ROWS = 2**24
"""Similarities looked at together for the accuracy."""


@runtime_checkable
class ContrastiveLoss(Protocol):
    """Built as `cls(rank=…, world_size=…, logits_per_chunk=…)`; called by every rank with its share of the batch.

    `logits_per_chunk` is how many logits may be computed at once; a loss that cannot work in chunks ignores it.
    """

    needs_bias: ClassVar[bool]
    """Whether the model must have a `logit_bias`."""

    def __call__(
        self, images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"], scale: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Return the scalar loss of normalised float32 features.

        Its gradient, averaged over ranks, is that of the whole batch.
        """


class ClipLoss:
    """Softmax over the global batch (arXiv 2103.00020, figure 3).

    `local_loss` with `gather_with_grad` is the pair that is both exact and does not compute the whole matrix on every
    rank.
    """

    needs_bias: ClassVar[bool] = False

    def __init__(self, *, rank: int, world_size: int, logits_per_chunk: int) -> None:
        self._loss = open_clip.ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world_size)
        self._rank, self._world_size, self._logits_per_chunk = rank, world_size, logits_per_chunk

    def __call__(
        self, images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"], scale: Tensor, bias: Tensor | None
    ) -> Tensor:
        small = len(images) ** 2 * self._world_size <= self._logits_per_chunk
        return _in_float32(self._loss if small else self._in_chunks, images, texts, scale, None)

    def _in_chunks(self, images: Tensor, texts: Tensor, scale: Tensor, _: None) -> Tensor:
        if self._world_size == 1:
            return clip_loss(images, texts, scale, self._logits_per_chunk)
        all_images, all_texts = gather_features(images), gather_features(texts)
        first = self._rank * len(images)
        to_texts = row_cross_entropy(images, all_texts, scale, first, self._logits_per_chunk)
        return (to_texts + row_cross_entropy(texts, all_images, scale, first, self._logits_per_chunk)) / 2


class SigLipLoss:
    """Sigmoid over every pair (arXiv 2303.15343); needs no global normalisation."""

    needs_bias: ClassVar[bool] = True

    def __init__(self, *, rank: int, world_size: int, logits_per_chunk: int) -> None:
        self._loss = OpenClipSigLip(rank=rank, world_size=world_size)
        self._rank, self._world_size, self._logits_per_chunk = rank, world_size, logits_per_chunk

    def __call__(
        self, images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"], scale: Tensor, bias: Tensor | None
    ) -> Tensor:
        small = len(images) ** 2 <= self._logits_per_chunk  # open_clip's goes from rank to rank by itself
        return _in_float32(self._loss if small else self._in_chunks, images, texts, scale, bias)

    def _in_chunks(self, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        first = self._rank * len(images)
        return sigmoid_loss(images, gather_features(texts), scale, bias, first, self._logits_per_chunk)


@torch.no_grad()
def acc1(images: Float[Tensor, "B E"], texts: Float[Tensor, "B E"]) -> Float[Tensor, ""]:
    """Measure the share of images whose own text is the most similar of this batch."""
    rows = max(1, _ROWS // len(texts))
    nearest = torch.cat([(part @ texts.mT).argmax(dim=1) for part in torch.split(images, rows)])
    return (nearest == torch.arange(len(images), device=images.device)).float().mean()


def _in_float32(loss: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    with torch.autocast(images.device.type, enabled=False):
        return cast(Tensor, loss(images.float(), texts.float(), scale, bias).reshape(()))
