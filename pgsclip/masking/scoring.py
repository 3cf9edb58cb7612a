"""A masker's scores, looked at before they are used: what breaks the contract ends in a sentence with its owner."""

from __future__ import annotations

import torch

from pgsclip import plugins
from pgsclip.errors import MaskerError
from pgsclip.masking.call_signature import IMAGE_CALL, takes_one_value
from pgsclip.masking.contract import Masker, MaskerWithModel, MaskInputs, MaskScores

_EVERY = 128
"""Calls between two looks at values that would have to wait for a GPU."""
_HINT = "pgsclip.testing.check_masker tells its author more."


class Scorer:
    """Calls a masker. Shapes are looked at every time; values every time on a CPU, now and then on a GPU."""

    def __init__(self, name: str, masker: Masker) -> None:
        """
        Raises:
            MaskerError: the masker's call is not that of the contract.
        """
        self.name = name
        self.masker = masker
        self._calls = 0
        if not takes_one_value(type(masker)):
            raise self._broken(f"cannot be called: {IMAGE_CALL}")

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        """Return the masker's scores.

        Raises:
            MaskerError: it returned something else, scores of another shape or none that can be sorted, or drew from
                torch's global generator.
        """
        before = torch.get_rng_state() if self._calls == 0 else None
        scores = self.masker(inputs)
        if before is not None and not torch.equal(before, torch.get_rng_state()):
            raise self._broken(
                "draws from torch's global generator, so masks would not repeat; it must pass generator="
            )
        if not isinstance(scores, MaskScores):
            raise self._broken(f"returned {type(scores).__name__} and not MaskScores")
        self._refuse_other_shapes(scores, *inputs.patches.shape[:2])
        if inputs.images.device.type == "cpu" or self._calls % _EVERY == 0:
            self._refuse_not_finite(scores)
        self._calls += 1
        return scores

    def _refuse_other_shapes(self, scores: MaskScores, images: int, patches: int) -> None:
        features = () if scores.features is None else scores.features.shape[1:]
        for what, values, shape in (
            ("scores", scores.keep, (images, patches)),
            ("ratios", scores.ratio, (images,)),
            ("features", scores.features, (images, *features)),
        ):
            if values is not None and tuple(values.shape) != shape:
                raise self._broken(
                    f"gave {what} of the shape {tuple(values.shape)} for {images} images of {patches} patches; "
                    f"expected {shape}"
                )

    def _refuse_not_finite(self, scores: MaskScores) -> None:
        values = scores.keep if scores.ratio is None else torch.cat([scores.keep, scores.ratio[:, None]], dim=1)
        bad = ~torch.isfinite(values)
        if bool(bad.any()):
            raise self._broken(f"gave {int(bad.sum())} NaN or infinite scores of {values.numel()}, which have no order")

    def _broken(self, what: str) -> MaskerError:
        return MaskerError(f"The {plugins.describe(plugins.MASKERS, self.name)} {what}. {_HINT}")


def needs_model(masker: object) -> bool:
    """Whether a masker looks with a model of its own and must be started with a tower."""
    return isinstance(masker, MaskerWithModel)
