"""One optimiser step on a batch that is worked off in parts, with the gradient of the whole batch.

A contrastive loss does not add up over parts: every pair is a negative of every other. So (GradCache, arXiv 2101.06983,
section 3) the features of all parts are computed first without gradients, the loss of the whole batch tells how it
pulls at each feature, and each part is computed again to pass its pull on to the weights. Both passes see the same
patches and the same dropout: the chance of a part comes from its place in the run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgsclip.training.engines.base import Engine
from pgsclip.training.task import Features, Pull, StepReport, View


class Part(NamedTuple):
    """A share of this rank's batch, on the device."""

    images: Tensor
    texts: Tensor
    lengths: Tensor
    view: Callable[[], View]
    """Seeds the global generators for dropout, and gives the view: the same one at every call."""


def backward(engine: Engine, parts: Sequence[Part]) -> tuple[Tensor, StepReport]:
    """Leave the gradient of the whole batch in the engine for its `step`; the loss and the figures of the batch."""
    if len(parts) == 1:
        images, texts, lengths, view = parts[0]
        loss, report = engine.forward(images, texts, lengths, view())
        engine.backward(loss)
        return loss.detach(), report
    seen = [engine.look(images, texts, lengths, view()) for images, texts, lengths, view in parts]
    loss, report, pulls = _contrast(engine, seen)
    for number, ((images, texts, lengths, view), pull) in enumerate(zip(parts, pulls, strict=True), 1):
        with engine.accumulating(last=number == len(parts)):
            engine.backward(engine.pull(images, texts, lengths, view(), pull))
    return loss, report


def _contrast(engine: Engine, seen: Sequence[Features]) -> tuple[Tensor, StepReport, list[Pull]]:
    """The loss of all parts together, and how it pulls at each of them; the temperature's pull goes with the first."""
    images = torch.cat([part.images for part in seen]).requires_grad_()
    texts = torch.cat([part.texts for part in seen]).requires_grad_()
    scale = seen[0].scale.clone().requires_grad_()
    bias = None if seen[0].bias is None else seen[0].bias.clone().requires_grad_()
    extra = {key: torch.cat([part.extra[key] for part in seen]) for key in seen[0].extra}
    felt = {key: tensor.requires_grad_() for key, tensor in extra.items() if tensor.is_floating_point()}
    kept = sum(part.kept * len(part.images) for part in seen) / len(images)
    loss, report = engine.task.contrast(Features(images, texts, scale, bias, kept, extra))
    temperature = [scale] if bias is None else [scale, bias]
    leaves = [images, texts, *felt.values(), *temperature]
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    sizes = [len(part.images) for part in seen]
    of_rows = [torch.split(gradient, sizes) for gradient in gradients[: 2 + len(felt)]]
    of_temperature = gradients[2 + len(felt) :]
    pulls = []
    for number, (to_images, to_texts, *to_extra) in enumerate(zip(*of_rows, strict=True)):
        first, *rest = of_temperature if number == 0 else [torch.zeros_like(one) for one in of_temperature]
        pulls.append(
            Pull(to_images, to_texts, first, rest[0] if rest else None, dict(zip(felt, to_extra, strict=True)))
        )
    return loss.detach(), report, pulls
