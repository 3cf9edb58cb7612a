"""The one module that an engine wraps: model, masker and loss, from a batch to a scalar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip import plugins
from pgsclip.bucketing import sorted_groups
from pgsclip.config.schema import RunConfig
from pgsclip.data.normalise import Normalise
from pgsclip.distributed import mean_over_ranks
from pgsclip.errors import MaskerError, PluginError
from pgsclip.grid import Grid
from pgsclip.losses.auxiliary import Seen
from pgsclip.losses.contrastive import ContrastiveLoss, acc1
from pgsclip.masking.contract import Masker, MaskerWithModel, MaskInputs
from pgsclip.masking.scoring import Scorer
from pgsclip.masking.selection import choose
from pgsclip.masking.text.contract import TextMasker, TextMaskInputs
from pgsclip.masking.text.shorten import shorten
from pgsclip.models.build import BuiltModel
from pgsclip.models.plugin_states import States


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
    terms: Mapping[str, Tensor] = {}
    """What the loss is the sum of, by name; empty without auxiliary losses."""


class Features(NamedTuple):
    """A batch, or a part of it, as the loss sees it: normalised float32 features and the temperature."""

    images: Tensor
    """(B, V, E), V views of each image."""
    texts: Tensor
    """(B, E)"""
    scale: Tensor
    """(1,)"""
    bias: Tensor | None
    """(1,), of losses that have one."""
    kept: float
    extra: Mapping[str, Tensor] = {}
    """What auxiliary losses keep of each image, as `name/key`: (B, ...)."""

    def detached(self) -> Features:
        """The same numbers, from which no gradient flows."""
        bias = None if self.bias is None else self.bias.detach()
        extra = {key: tensor.detach() for key, tensor in self.extra.items()}
        return Features(self.images.detach(), self.texts.detach(), self.scale.detach(), bias, self.kept, extra)


class Pull(NamedTuple):
    """How the loss of a whole batch pulls at the features of a part: its gradient with respect to them."""

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

    def at(self, seen: Features) -> Tensor:
        """A scalar whose gradient is the pull, passed on to whatever made the features."""
        total = (seen.images * self.images).sum() + (seen.texts * self.texts).sum() + (seen.scale * self.scale).sum()
        if seen.bias is not None and self.bias is not None:
            total = total + (seen.bias * self.bias).sum()
        for key, pull in self.extra.items():
            total = total + (seen.extra[key] * pull).sum()
        return total


class Task(nn.Module):
    """CLIP training on visible patches.

    `forward(images, texts, lengths, view)`, of images as bytes or as normalised numbers, gives `(loss, StepReport)`;
    with `look`, the detached Features instead; with a `pull`, the scalar that passes it on. Without a view it is
    evaluation: whichever of images and texts are given come back as normalised float32 features, all patches seen.
    """

    def __init__(
        self,
        built: BuiltModel,
        masker: Masker,
        loss: ContrastiveLoss,
        config: RunConfig,
        text_masker: TextMasker | None = None,
        auxiliary: Sequence[tuple[str, Any]] = (),
    ) -> None:
        super().__init__()
        self.model = built.model
        self.image_tower = built.image_tower
        self.text_tower = built.text_tower
        # Hidden from nn.Module: a masker's own model is neither trained nor spread over processes.
        object.__setattr__(self, "masker", masker)
        self._scorer = Scorer(config.masker.name, masker)
        self.normalise = Normalise(built.preprocess["mean"], built.preprocess["std"])
        self.loss = loss
        self.auxiliary = nn.ModuleList([term for _, term in auxiliary])
        self._terms: tuple[tuple[str, Any], ...] = tuple(auxiliary)
        self._ratio = config.masker.ratio
        self._mask_groups = config.masker.max_passes
        self._text_groups = config.text.max_passes
        self._gathers = config.engine.zero_stage == 3  # weights, within every pass, with all ranks
        self._text_masker = text_masker
        self._text_tokens = config.text.max_tokens
        self._largest_scale = torch.tensor(config.loss.max_scale).log().item()
        self.start()

    def forward(
        self,
        images: UInt8[Tensor, "*B 3 H W"] | Float[Tensor, "*B 3 H W"] | None,
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
            return seen.detached()
        return self.contrast(seen) if pull is None else pull.at(seen)

    def contrast(self, seen: Features) -> tuple[Tensor, StepReport]:
        """The loss of features, with its figures; touches no weights. Once a step."""
        of_views = [self.loss(view.contiguous(), seen.texts, seen.scale, seen.bias) for view in seen.images.unbind(1)]
        loss = torch.stack(of_views).mean() if len(of_views) > 1 else of_views[0]
        terms = {}
        if self._terms:
            terms = {"contrastive": loss, **self._added(seen)}
            loss = torch.stack(list(terms.values())).sum()
        images, texts = seen.images[:, 0].detach(), seen.texts.detach()
        alike = images.mean(dim=0).square().sum()
        found = {name: term.detach() for name, term in terms.items()}
        return loss, StepReport(acc1(images, texts), seen.scale.detach(), alike, seen.kept, found)

    def _added(self, seen: Features) -> dict[str, Tensor]:
        terms = {}
        with torch.autocast(seen.images.device.type, enabled=False):
            for name, term in self._terms:
                start = f"{name}/"
                own = {key.removeprefix(start): value for key, value in seen.extra.items() if key.startswith(start)}
                terms[name] = term(own).float().reshape(())
        return terms

    def start(self) -> None:
        """Show a masker with a model of its own the tower; again where its weights were replaced."""
        if isinstance(self.masker, MaskerWithModel):
            self.masker.start(self.image_tower)

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers of both towers."""
        return [*self.image_tower.blocks, *self.text_tower.blocks]

    @property
    def watched(self) -> list[nn.Parameter] | None:
        """Parameters that `observe` reads; None when nothing observes."""
        masker = isinstance(self.masker, MaskerWithModel)
        terms = [term for _, term in self._terms if hasattr(term, "observe")]
        if not masker and not terms:
            return None
        modules = [*([self.image_tower.tower] if masker else []), *terms]
        return [parameter for module in modules for parameter in module.parameters()]

    @torch.no_grad()
    def observe(self, progress: float) -> None:
        """Tell maskers and auxiliary losses that a step was made; the watched parameters must be whole."""
        if isinstance(self.masker, MaskerWithModel):
            self.masker.observe(self.image_tower, progress=progress)
        for _, term in self._terms:
            if hasattr(term, "observe"):
                term.observe(progress=progress)

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What the optimiser trains, by names that stay: the model's under open_clip's, auxiliary losses' by theirs."""
        yield from self.model.named_parameters()
        for name, term in self._terms:
            for key, parameter in term.named_parameters():
                yield f"{plugins.LOSSES}/{name}/{key}", parameter

    def states(self) -> States:
        """What plugins keep beside the model's weights."""
        terms = {name: dict(term.state_dict()) for name, term in self._terms}
        maskers = {}
        if isinstance(self.masker, MaskerWithModel):
            maskers[self._scorer.name] = dict(self.masker.state_dict())
        return {plugins.LOSSES: terms, plugins.MASKERS: maskers}

    def load_states(self, states: States) -> None:
        """Go on with what `states` gave, before an engine takes the task; plugins that had no state begin anew.

        Raises:
            MaskerError, PluginError: a state does not fit its plugin.
        """
        found = states.get(plugins.LOSSES, {})
        for name, term in self._terms:
            if name in found:
                plugins.give_back(plugins.LOSSES, name, term, found[name], PluginError)
        own = states.get(plugins.MASKERS, {}).get(self._scorer.name)
        if own is not None and isinstance(self.masker, MaskerWithModel):
            plugins.give_back(plugins.MASKERS, self._scorer.name, self.masker, own, MaskerError)

    def borrowed_parameters(self) -> list[nn.Parameter]:
        """Parameters read here although another module owns them; ZeRO-3 must be told to gather them."""
        found = (self.model.logit_scale, getattr(self.model, "logit_bias", None))
        return [parameter for parameter in found if isinstance(parameter, nn.Parameter)]

    def _see(self, images: Tensor, texts: Tensor, lengths: Tensor | None, view: View) -> Features:
        images = self.normalise(images)
        views = images.shape[1] if images.ndim == 5 else 1
        flat = images.transpose(0, 1).flatten(0, 1) if images.ndim == 5 else images
        of_masker: list[Tensor] = []
        encoded = self.image_tower(flat, self._chooser(view, of_masker))
        tokens = texts
        texts, lengths = self._shortened(texts, lengths, view)
        text_features = self.text_tower(texts, self._caption_groups(lengths))
        normal = F.normalize(encoded.features.float(), dim=-1)
        text_normal = F.normalize(text_features.float(), dim=-1)
        extra: dict[str, Tensor] = {}
        if self._terms:
            of_whole = _by_image(of_masker[0].float(), views) if of_masker else None
            pooled = _by_image(encoded.pooled, views)
            seen = Seen(_by_image(normal, views), pooled, text_normal, tokens, of_whole)
            for name, term in self._terms:
                extra |= {f"{name}/{key}": _as_float32(value) for key, value in term.features(seen).items()}
        return Features(
            _by_image(normal, views),
            text_normal,
            CappedExp.apply(self.model.logit_scale, self._largest_scale),
            getattr(self.model, "logit_bias", None),
            encoded.kept,
            extra,
        )

    @torch.no_grad()
    def _shortened(self, texts: Tensor, lengths: Tensor | None, view: View) -> tuple[Tensor, Tensor | None]:
        """Captions as the text masker leaves them; after the patches, whose chance does not move with it."""
        if self._text_masker is None or self._text_tokens is None or lengths is None:
            return texts, lengths
        scores = self._text_masker(TextMaskInputs(texts, lengths, view.progress, view.generator))
        return shorten(texts, lengths, scores, self._text_tokens, view.generator)

    def _features(
        self, images: Tensor | None, texts: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        image_features = text_features = None
        if images is not None:
            image_features = F.normalize(self.image_tower(images).features.float(), dim=-1)
        if texts is not None:
            text_features = F.normalize(self.text_tower(texts, self._caption_groups(lengths)).float(), dim=-1)
        return image_features, text_features

    def _chooser(
        self, view: View, of_masker: list[Tensor]
    ) -> Callable[[Tensor, Tensor, Grid], list[tuple[Tensor, Tensor]]] | None:
        """None when every patch is shown, so that `none` pays for no choice."""
        if self._ratio.high == 0:
            return None

        @torch.no_grad()
        def chosen(images: Tensor, patches: Tensor, grid: Grid) -> list[tuple[Tensor, Tensor]]:
            scores = self._scorer(MaskInputs(images, patches, grid, view.progress, view.generator))
            if scores.features is not None:
                of_masker.append(scores.features)
            return choose(scores, self._ratio, view.generator, self._mask_groups, always=self._gathers)

        return chosen

    def _caption_groups(self, lengths: Tensor | None) -> list[tuple[Tensor, int]] | None:
        if lengths is None or not self.text_tower.can_cut:
            return None
        return sorted_groups(lengths, self._text_groups, always=self._gathers)


def _by_image(rows: Float[Tensor, "N E"], views: int) -> Float[Tensor, "B V E"]:
    """From rows view after view to rows of images with their views."""
    return rows.reshape(views, -1, rows.shape[-1]).transpose(0, 1)


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


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
        pull = mean_over_ranks(gradient * value)
        return torch.where(above & (pull < 0), torch.zeros_like(pull), pull), None
