"""The one module that an engine wraps: model, masker and loss, from a batch to a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.schema import RunConfig
from pgsclip.losses.contrastive import ContrastiveLoss, acc1
from pgsclip.masking.contract import Masker
from pgsclip.masking.groups import sorted_groups
from pgsclip.masking.selection import choose
from pgsclip.models.build import BuiltModel


class View(NamedTuple):
    """What a masked training step knows beside its batch."""

    progress: float
    """Share of the run that is done, in [0, 1]."""
    generator: torch.Generator
    """On the device of the images; the masks' only source of chance."""


class StepReport(NamedTuple):
    """Detached figures of one step; reading them waits for the device."""

    acc1: Tensor
    """Share of images whose own caption is the nearest of this process's batch."""
    temperature: Tensor
    """exp(logit_scale), the factor on the cosines."""
    alike: Tensor
    """Squared length of the mean image feature, the mean cosine of two images: 1 when the encoder has collapsed."""
    kept: float
    """Share of patches that the image tower saw."""


class Features(NamedTuple):
    """A batch, or a part of it, as the loss sees it: normalised float32 features and the temperature."""

    images: Tensor
    """(B, E)"""
    texts: Tensor
    """(B, E)"""
    scale: Tensor
    """(1,)"""
    bias: Tensor | None
    """(1,), of losses that have one."""
    kept: float


class Pull(NamedTuple):
    """How the loss of a whole batch pulls at the features of a part: its gradient with respect to them."""

    images: Tensor
    """(B, E)"""
    texts: Tensor
    """(B, E)"""
    scale: Tensor
    """(1,)"""
    bias: Tensor | None
    """(1,)"""

    def at(self, seen: Features) -> Tensor:
        """A scalar whose gradient is the pull, passed on to whatever made the features."""
        total = (seen.images * self.images).sum() + (seen.texts * self.texts).sum() + (seen.scale * self.scale).sum()
        if seen.bias is not None and self.bias is not None:
            total = total + (seen.bias * self.bias).sum()
        return total


class Task(nn.Module):
    """CLIP training on visible patches.

    `forward(images, texts, lengths, view)` gives `(loss, StepReport)`; with `look`, the detached Features instead; with
    a `pull`, the scalar that passes it on. Without a view it is evaluation: whichever of images and texts are given
    come back as normalised float32 features, all patches seen.
    """

    def __init__(self, built: BuiltModel, masker: Masker, loss: ContrastiveLoss, config: RunConfig) -> None:
        super().__init__()
        self.model = built.model
        self.image_tower = built.image_tower
        self.text_tower = built.text_tower
        self.masker = masker
        self.loss = loss
        self._ratio = config.masker.ratio
        self._mask_groups = config.masker.groups
        self._text_groups = config.text.groups
        self._largest_scale = torch.tensor(config.loss.max_scale).log().item()

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"] | None,
        texts: Int[Tensor, "T N"] | None,
        lengths: Int[Tensor, " T"] | None = None,
        view: View | None = None,
        *,
        look: bool = False,
        pull: Pull | None = None,
    ) -> Any:
        if view is None:
            return self._features(images, texts, lengths)
        assert images is not None
        assert texts is not None
        seen = self._see(images, texts, lengths, view)
        if look:
            bias = None if seen.bias is None else seen.bias.detach()
            return Features(seen.images.detach(), seen.texts.detach(), seen.scale.detach(), bias, seen.kept)
        return self.contrast(seen) if pull is None else pull.at(seen)

    def contrast(self, seen: Features) -> tuple[Tensor, StepReport]:
        """The loss of features, with its figures; touches no weights."""
        loss = self.loss(seen.images, seen.texts, seen.scale, seen.bias)
        images, texts = seen.images.detach(), seen.texts.detach()
        alike = images.mean(dim=0).square().sum()
        return loss, StepReport(acc1(images, texts), seen.scale.detach(), alike, seen.kept)

    def borrowed_parameters(self) -> list[nn.Parameter]:
        """Parameters read here although another module owns them; ZeRO-3 must be told to gather them."""
        found = (self.model.logit_scale, getattr(self.model, "logit_bias", None))
        return [parameter for parameter in found if isinstance(parameter, nn.Parameter)]

    def _see(self, images: Tensor, texts: Tensor, lengths: Tensor | None, view: View) -> Features:
        image_features, kept = self.image_tower(images, self._chooser(view))
        text_features = self.text_tower(texts, self._caption_groups(lengths))
        return Features(
            F.normalize(image_features.float(), dim=-1),
            F.normalize(text_features.float(), dim=-1),
            CappedExp.apply(self.model.logit_scale, self._largest_scale),
            getattr(self.model, "logit_bias", None),
            kept,
        )

    def _features(
        self, images: Tensor | None, texts: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        image_features = text_features = None
        if images is not None:
            image_features = F.normalize(self.image_tower(images).features.float(), dim=-1)
        if texts is not None:
            text_features = F.normalize(self.text_tower(texts, self._caption_groups(lengths)).float(), dim=-1)
        return image_features, text_features

    def _chooser(self, view: View) -> Callable[[Tensor, Tensor], list[tuple[Tensor, Tensor]]] | None:
        """None when every patch is shown, so that `none` costs exactly what open_clip costs."""
        if self._ratio.high == 0:
            return None

        @torch.no_grad()
        def chosen(images: Tensor, patches: Tensor) -> list[tuple[Tensor, Tensor]]:
            scores = self.masker(images, patches, progress=view.progress, generator=view.generator)
            return choose(scores, self._ratio, view.generator, self._mask_groups)

        return chosen

    def _caption_groups(self, lengths: Tensor | None) -> list[tuple[Tensor, int]] | None:
        if lengths is None or not self.text_tower.can_cut:
            return None
        return sorted_groups(lengths, self._text_groups)


class CappedExp(torch.autograd.Function):
    """exp(min(x, cap)) for the temperature.

    Above the cap the gradient still pulls down but never pushes further up, as if the parameter itself were clamped
    after each step, without touching a parameter that ZeRO may have split or copied. Which way it pulls is decided by
    the mean over processes: ranks that each drop their own push would together pull down what the batch holds still.
    """

    @staticmethod
    def forward(ctx: Any, log_scale: Tensor, cap: float) -> Tensor:
        value = log_scale.float().clamp(max=cap).exp()
        ctx.save_for_backward(value, log_scale > cap)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        value, above = ctx.saved_tensors
        pull = _mean_over_processes(gradient * value)
        return torch.where(above & (pull < 0), torch.zeros_like(pull), pull), None


def _mean_over_processes(tensor: Tensor) -> Tensor:
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
