"""CLIPF: "Frequency Is What You Need: Word-frequency Masking Benefits Vision-Language Model Pre-training",
arXiv 2412.16148.

P(mask w) = 1 - sqrt(threshold / f(w)), with f(w) the share of w among all words, and the top k of U(0, 1) - P stay, in
their order. Words are the tokens of the model's vocabulary here, in which common words are one token each.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from pgsclip.errors import MaskerError
from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMaskInputs


class FrequencyParams(MaskerParams):
    threshold: float = Field(default=1e-6, gt=0, le=1)
    """Frequency up to which a word is never masked for being common; a larger one flattens the difference."""


class FrequencyMasker:
    """Keeps rare words more often than common ones (CLIPF)."""

    Params: ClassVar[type[MaskerParams]] = FrequencyParams
    needs_counts: ClassVar[bool] = True

    def __init__(self, params: FrequencyParams, counts: Int[Tensor, " V"] | None) -> None:
        if counts is None:
            raise MaskerError("The text masker 'frequency' needs how often each token stands in the captions.")
        self.params = params
        share = counts.double() / counts.sum().clamp(min=1)
        # A token that was never counted is rarer than any: masked last.
        masked = 1 - (params.threshold / share.clamp(min=1e-12)).sqrt()
        self._masked = masked.clamp(min=0).float()

    def __call__(self, inputs: TextMaskInputs) -> Float[Tensor, "B N"]:
        if self._masked.device != inputs.ids.device:
            self._masked = self._masked.to(inputs.ids.device)
        return inputs.uniform() - self._masked[inputs.ids]
