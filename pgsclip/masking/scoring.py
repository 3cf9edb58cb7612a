"""A masker's scores, looked at before they are used: what breaks the contract ends in a sentence with its owner."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip import plugins
from pgsclip.errors import MaskerError
from pgsclip.masking.contract import Masker, MaskerWithModel, MaskScores

_EVERY = 128
"""Calls between two looks at values that would have to wait for a GPU."""
_HINT = "pgsclip.testing.masker.check_masker tells its author more."


class Scorer:
    """Calls a masker. Shapes are looked at every time; values every time on a CPU, now and then on a GPU."""

    def __init__(self, name: str, masker: Masker) -> None:
        self.name = name
        self.masker = masker
        self._calls = 0

    def __call__(
        self,
        images: Float[Tensor, "B 3 H W"],
        patches: Float[Tensor, "B L D"],
        *,
        progress: float,
        generator: torch.Generator,
    ) -> MaskScores:
        """The masker's scores.

        Raises:
            MaskerError: it returned something else, scores of another shape or none that can be sorted, or drew from
                torch's global generator.
        """
        before = torch.get_rng_state() if self._calls == 0 else None
        scores = self.masker(images, patches, progress=progress, generator=generator)
        if before is not None and not torch.equal(before, torch.get_rng_state()):
            raise self._broken(
                "draws from torch's global generator, so masks would not repeat; it must pass generator="
            )
        if not isinstance(scores, MaskScores):
            raise self._broken(f"returned {type(scores).__name__} and not MaskScores")
        for what, values, shape in (
            ("scores", scores.keep, patches.shape[:2]),
            ("ratios", scores.ratio, patches.shape[:1]),
            (
                "features",
                scores.features,
                (len(patches), *(() if scores.features is None else scores.features.shape[1:])),
            ),
        ):
            if values is not None and tuple(values.shape) != tuple(shape):
                raise self._broken(
                    f"gave {what} of the shape {tuple(values.shape)} for {len(patches)} images of {patches.shape[1]} "
                    f"patches; expected {tuple(shape)}"
                )
        if images.device.type == "cpu" or self._calls % _EVERY == 0:
            self._refuse_not_finite(scores)
        self._calls += 1
        return scores

    def _refuse_not_finite(self, scores: MaskScores) -> None:
        values = scores.keep if scores.ratio is None else torch.cat([scores.keep, scores.ratio[:, None]], dim=1)
        bad = ~torch.isfinite(values)
        if bool(bad.any()):
            raise self._broken(f"gave {int(bad.sum())} NaN or infinite scores of {values.numel()}, which have no order")

    def _broken(self, what: str) -> MaskerError:
        return MaskerError(f"The {plugins.described(plugins.MASKERS, self.name)} {what}. {_HINT}")


def needs_model(masker: object) -> bool:
    """Whether a masker looks with a model of its own and must be started with a tower."""
    return isinstance(masker, MaskerWithModel)
