"""What passes between the model, the loss and the engine in one training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class StepContext(NamedTuple):
    """What a training step knows beside its batch."""

    progress: float
    """Share of the run that is done, in [0, 1]."""
    generator: torch.Generator
    """On the device of the images; the masks' only source of chance."""


class StepReport(NamedTuple):
    """Detached figures of one step; reading them waits for the device."""

    acc1: Tensor
    """Share of images whose own caption is the nearest of this process's batch."""
    logit_scale: Tensor
    """exp(logit_scale), the factor on the cosines: the inverse of the temperature."""
    image_similarity: Tensor
    """Squared length of the mean image feature, the mean cosine of two images: 1 when the encoder has collapsed."""
    patches_kept: float
    """Share of patches that the image tower saw."""
    terms: Mapping[str, Tensor] = {}
    """Terms that the loss is the sum of, by name; empty without auxiliary losses."""


class Features(NamedTuple):
    """A batch, or a part of it, as the loss sees it: normalised float32 features, and the scale of their cosines."""

    images: Tensor
    """(B, V, E), V views of each image."""
    texts: Tensor
    """(B, E)"""
    scale: Tensor
    """(1,)"""
    bias: Tensor | None
    """(1,), of losses that have one."""
    patches_kept: float
    extra: Mapping[str, Tensor] = {}
    """Tensors that auxiliary losses keep of each image, as `name/key`: (B, ...)."""

    def detached(self) -> Features:
        """Return the same numbers, from which no gradient flows."""
        bias = None if self.bias is None else self.bias.detach()
        extra = {key: tensor.detach() for key, tensor in self.extra.items()}
        return Features(self.images.detach(), self.texts.detach(), self.scale.detach(), bias, self.patches_kept, extra)


class FeatureGradients(NamedTuple):
    """The gradient of the loss of a whole batch with respect to the features of a part of it."""

    images: Tensor
    """(B, V, E)"""
    texts: Tensor
    """(B, E)"""
    scale: Tensor
    """(1,)"""
    bias: Tensor | None
    """(1,)"""
    extra: Mapping[str, Tensor] = {}
    """(B, ...) each"""

    def surrogate(self, features: Features) -> Tensor:
        """Return a scalar whose gradient with respect to the features is this one.

        Its own value means nothing: it is the dot product of features and gradients, so that its backward pass hands
        the gradients on to whatever made the features (GradCache, arXiv 2101.06983, equation 7).
        """
        total = (
            (features.images * self.images).sum()
            + (features.texts * self.texts).sum()
            + (features.scale * self.scale).sum()
        )
        if features.bias is not None and self.bias is not None:
            total = total + (features.bias * self.bias).sum()
        for key, gradient in self.extra.items():
            total = total + (features.extra[key] * gradient).sum()
        return total
