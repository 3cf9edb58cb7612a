"""The one module that an engine wraps: model, masker and loss, from a batch to a scalar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip import plugins
from pgsclip.bucketing import Bucket, cut_into_buckets
from pgsclip.config.schema import RunConfig
from pgsclip.data.normalise import Normalise
from pgsclip.errors import MaskerError, PluginError
from pgsclip.losses.auxiliary import Seen
from pgsclip.losses.contrastive import ContrastiveLoss, acc1
from pgsclip.losses.logit_scale import CappedExp
from pgsclip.masking.contract import Masker, MaskerWithModel
from pgsclip.masking.patch_chooser import PatchChooser
from pgsclip.masking.scoring import Scorer
from pgsclip.masking.text.contract import TextMasker, TextMaskInputs
from pgsclip.masking.text.shorten import shorten
from pgsclip.models.build import BuiltModel
from pgsclip.models.plugin_states import States
from pgsclip.training.features import FeatureGradients, Features, StepContext, StepReport


class Task(nn.Module):
    """CLIP training on visible patches, and the encoding of whole pairs for evaluation.

    Everything runs through `forward`, as that is what DDP and DeepSpeed wrap.
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
        self.description = built.description
        """What open_clip needs to build the model, and to make an image fit for it."""
        self.layers = built.layers
        """The place of each of the model's parameters."""
        self._frozen = built.frozen.modules
        self.image_tower = built.image_tower
        self.text_tower = built.text_tower
        # Hidden from nn.Module: a masker's own model is neither trained nor spread over processes.
        object.__setattr__(self, "masker", masker)
        self._masker_name = config.masker.name
        self.normalise = Normalise(built.preprocess["mean"], built.preprocess["std"])
        self.loss = loss
        self.auxiliary = nn.ModuleList([term for _, term in auxiliary])
        self._terms: tuple[tuple[str, Any], ...] = tuple(auxiliary)
        # ZeRO-3 gathers weights within every pass, with all ranks: all must run equally many.
        self._exactly = config.engine.zero_stage == 3
        scorer = Scorer(config.masker.name, masker)
        self._chooser = PatchChooser(scorer, config.masker.ratio, config.masker.max_passes, self._exactly)
        self._text_masker = text_masker
        self._text = config.text
        self._largest_log_scale = torch.tensor(config.loss.max_scale).log().item()
        self.start_masker()

    def forward(
        self,
        images: UInt8[Tensor, "*B 3 H W"] | Float[Tensor, "*B 3 H W"] | None,
        texts: Int[Tensor, "T N"] | None,
        lengths: Int[Tensor, " T"] | None = None,
        context: StepContext | None = None,
        *,
        features_only: bool = False,
        gradients: FeatureGradients | None = None,
    ) -> Any:
        """Run a training step, a half of one, or an evaluation.

        Args:
            images: bytes or normalised numbers; in training also (B, V, 3, H, W), V views of each.
            texts: token ids.
            lengths: tokens of each caption, up to and including the end of text; None runs captions uncut.
            context: of a training step; without it this is evaluation, which shows every patch.
            features_only: the first pass of an accumulated step.
            gradients: the second pass of an accumulated step: of the whole batch's loss, for this part of it.

        Returns:
            `(loss, StepReport)`; with `features_only`, detached Features; with `gradients`, the scalar that hands them
            on to the weights. In evaluation normalised float32 features of images and of texts, None for what is not
            given.
        """
        if context is None:
            return self._encode_whole(images, texts, lengths)
        assert images is not None
        assert texts is not None
        features = self._encode_visible(images, texts, lengths, context)
        if features_only:
            return features.detached()
        if gradients is not None:
            return gradients.surrogate(features)
        return self.contrast(features)

    def contrast(self, features: Features) -> tuple[Tensor, StepReport]:
        """Return the loss of features, with its figures; touches no weights. Once a step."""
        of_views = [
            self.loss(view.contiguous(), features.texts, features.scale, features.bias)
            for view in features.images.unbind(1)
        ]
        loss = torch.stack(of_views).mean() if len(of_views) > 1 else of_views[0]
        terms = {}
        if self._terms:
            terms = {"contrastive": loss, **self._auxiliary_losses(features)}
            loss = torch.stack(list(terms.values())).sum()
        images, texts = features.images[:, 0].detach(), features.texts.detach()
        similarity = images.mean(dim=0).square().sum()
        detached = {name: term.detach() for name, term in terms.items()}
        report = StepReport(acc1(images, texts), features.scale.detach(), similarity, features.patches_kept, detached)
        return loss, report

    def train(self, mode: bool = True) -> Task:
        """Set the mode of all modules but the frozen ones, which always evaluate."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def start_masker(self) -> None:
        """Show a masker with a model of its own the tower; again where its weights were replaced."""
        if isinstance(self.masker, MaskerWithModel):
            self.masker.start(self.image_tower)

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers of both towers."""
        return [*self.image_tower.blocks, *self.text_tower.blocks]

    @property
    def observed_parameters(self) -> list[nn.Parameter] | None:
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

    def named_trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
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
            maskers[self._masker_name] = dict(self.masker.state_dict())
        return {plugins.LOSSES: terms, plugins.MASKERS: maskers}

    def load_states(self, states: States) -> None:
        """Go on with what `states` gave, before an engine takes the task; plugins that had no state begin anew.

        Raises:
            MaskerError, PluginError: a state does not fit its plugin.
        """
        found = states.get(plugins.LOSSES, {})
        for name, term in self._terms:
            if name in found:
                plugins.load_state(plugins.LOSSES, name, term, found[name], PluginError)
        own = states.get(plugins.MASKERS, {}).get(self._masker_name)
        if own is not None and isinstance(self.masker, MaskerWithModel):
            plugins.load_state(plugins.MASKERS, self._masker_name, self.masker, own, MaskerError)

    def external_parameters(self) -> list[nn.Parameter]:
        """Parameters read here although another module owns them; ZeRO-3 must be told to gather them."""
        found = (self.model.logit_scale, getattr(self.model, "logit_bias", None))
        return [parameter for parameter in found if isinstance(parameter, nn.Parameter)]

    def _encode_visible(self, images: Tensor, texts: Tensor, lengths: Tensor | None, context: StepContext) -> Features:
        pixels = self.normalise(images)
        views = pixels.shape[1] if pixels.ndim == 5 else 1
        view_after_view = pixels.transpose(0, 1).flatten(0, 1) if pixels.ndim == 5 else pixels
        hides = self._chooser.ratio.high > 0  # else every patch is shown, and nobody pays for a choice
        choose = self._chooser.at(context.progress, context.generator) if hides else None
        encoded = self.image_tower(view_after_view, choose)
        # After the patches, whose chance does not move with it.
        short, short_lengths = self._shorten(texts, lengths, context)
        text_features = F.normalize(self.text_tower(short, self._caption_buckets(short_lengths)).float(), dim=-1)
        image_features = _by_image(F.normalize(encoded.features.float(), dim=-1), views)
        extra: dict[str, Tensor] = {}
        if self._terms:
            of_masker = None if encoded.visible is None else encoded.visible.masker_features
            of_whole = None if of_masker is None else _by_image(of_masker.float(), views)
            extra = self._auxiliary_features(
                Seen(image_features, _by_image(encoded.pooled, views), text_features, texts, of_whole)
            )
        scale = CappedExp.apply(self.model.logit_scale, self._largest_log_scale)
        bias = getattr(self.model, "logit_bias", None)
        return Features(image_features, text_features, scale, bias, encoded.patches_kept, extra)

    def _encode_whole(
        self, images: Tensor | None, texts: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        image_features = text_features = None
        if images is not None:
            image_features = F.normalize(self.image_tower(images).features.float(), dim=-1)
        if texts is not None:
            text_features = F.normalize(self.text_tower(texts, self._caption_buckets(lengths)).float(), dim=-1)
        return image_features, text_features

    @torch.no_grad()
    def _shorten(self, texts: Tensor, lengths: Tensor | None, context: StepContext) -> tuple[Tensor, Tensor | None]:
        """Cut captions to the tokens that the text masker keeps."""
        if self._text_masker is None or self._text.max_tokens is None or lengths is None:
            return texts, lengths
        scores = self._text_masker(TextMaskInputs(texts, lengths, context.progress, context.generator))
        return shorten(texts, lengths, scores, self._text.max_tokens, context.generator)

    def _caption_buckets(self, lengths: Tensor | None) -> list[Bucket] | None:
        if lengths is None or not self.text_tower.can_cut:
            return None
        return cut_into_buckets(lengths, self._text.max_passes, exactly=self._exactly)

    def _auxiliary_features(self, seen: Seen) -> dict[str, Tensor]:
        """Collect what the terms keep of each image, as `name/key`."""
        return {
            f"{name}/{key}": value.float() if value.is_floating_point() else value
            for name, term in self._terms
            for key, value in term.features(seen).items()
        }

    def _auxiliary_losses(self, features: Features) -> dict[str, Tensor]:
        losses = {}
        with torch.autocast(features.images.device.type, enabled=False):
            for name, term in self._terms:
                start = f"{name}/"
                own = {key.removeprefix(start): value for key, value in features.extra.items() if key.startswith(start)}
                losses[name] = term(own).float().reshape(())
        return losses


def _by_image(rows: Float[Tensor, "N E"], views: int) -> Float[Tensor, "B V E"]:
    """Reorder rows that stand view after view into images with their views."""
    return rows.reshape(views, -1, rows.shape[-1]).transpose(0, 1)
