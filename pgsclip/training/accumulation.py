"""One optimiser step on a batch that is worked off in parts, with the gradient of the whole batch.

A contrastive loss does not add up over parts: every pair is a negative of every other, so the loss of two halves is not
half of each. GradCache (arXiv 2101.06983, section 3) splits the chain rule at the features instead, in two passes:

1. Encode all parts without gradients, which needs memory for one part at a time, and keep the features, which are
   small. The loss of all features together, differentiated down to them, gives d loss / d features, exactly.
2. Encode each part again, now with gradients, and run backward from the dot product of its features with their
   gradients (`FeatureGradients.surrogate`). By the chain rule that adds d loss / d weights of this part.

It is exact only if both passes compute the same features: the same patches, the same words and the same dropout. So the
chance of a part comes from its place in the run alone, and is drawn anew, alike, by each pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgsclip.training.engines.base import Engine
from pgsclip.training.features import FeatureGradients, Features, StepContext, StepReport


class Part(NamedTuple):
    """A share of this rank's batch, on the device."""

    images: Tensor
    texts: Tensor
    lengths: Tensor
    context: Callable[[], StepContext]
    """Seeds the global generators for dropout, and returns the context of the step: the same one at every call."""


def backward(engine: Engine, parts: Sequence[Part]) -> tuple[Tensor, StepReport]:
    """Leave the gradient of the whole batch in the engine for its `step`; return the loss and the batch's figures."""
    if len(parts) == 1:
        images, texts, lengths, context = parts[0]
        loss, report = engine.forward(images, texts, lengths, context())
        engine.backward(loss)
        return loss.detach(), report
    features = [engine.encode_no_grad(images, texts, lengths, context()) for images, texts, lengths, context in parts]
    loss, report, gradients = _differentiate(engine, features)
    for number, ((images, texts, lengths, context), own) in enumerate(zip(parts, gradients, strict=True), 1):
        with engine.accumulating(last=number == len(parts)):
            engine.backward(engine.surrogate_loss(images, texts, lengths, context(), own))
    return loss, report


def _differentiate(engine: Engine, parts: Sequence[Features]) -> tuple[Tensor, StepReport, list[FeatureGradients]]:
    """Return the loss of all parts together, its figures, and its gradient at the features of each part."""
    images = torch.cat([part.images for part in parts]).requires_grad_()
    texts = torch.cat([part.texts for part in parts]).requires_grad_()
    scale = parts[0].scale.clone().requires_grad_()
    bias = None if parts[0].bias is None else parts[0].bias.clone().requires_grad_()
    extra = {key: torch.cat([part.extra[key] for part in parts]) for key in parts[0].extra}
    # Auxiliary losses may keep whole numbers too, such as token ids, which have no gradient.
    differentiable = {key: tensor.requires_grad_() for key, tensor in extra.items() if tensor.is_floating_point()}
    sizes = [len(part.images) for part in parts]
    patches_kept = sum(part.patches_kept * size for part, size in zip(parts, sizes, strict=True)) / len(images)
    loss, report = engine.task.contrast(Features(images, texts, scale, bias, patches_kept, extra))
    shared = [scale] if bias is None else [scale, bias]
    leaves = [images, texts, *differentiable.values(), *shared]
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    rows = [torch.split(gradient, sizes) for gradient in gradients[: -len(shared)]]
    of_shared = gradients[-len(shared) :]
    found = [
        _of_part(own, of_shared, list(differentiable), first=number == 0)
        for number, own in enumerate(zip(*rows, strict=True))
    ]
    return loss.detach(), report, found


def _of_part(
    rows: Sequence[Tensor], of_shared: Sequence[Tensor], extra: Sequence[str], *, first: bool
) -> FeatureGradients:
    """Gather the gradients at one part: its rows of images, texts and extra, and the scale's and bias's."""
    to_images, to_texts, *to_extra = rows
    # Scale and bias are the same numbers in every part: their gradient goes with the first, to count once.
    to_scale, *to_bias = of_shared if first else [torch.zeros_like(one) for one in of_shared]
    named = dict(zip(extra, to_extra, strict=True))
    return FeatureGradients(to_images, to_texts, to_scale, to_bias[0] if to_bias else None, named)
