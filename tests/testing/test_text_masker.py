from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMaskInputs
from pgsclip.masking.text.frequency import FrequencyMasker, FrequencyParams
from pgsclip.masking.text.none import KeepAllWords
from pgsclip.masking.text.truncate import Truncate
from pgsclip.testing import check_text_masker, counts_for_checks


def test_the_built_in_ones_keep_the_contract() -> None:
    check_text_masker(KeepAllWords(MaskerParams()))
    check_text_masker(Truncate(MaskerParams()), random=False)
    check_text_masker(FrequencyMasker(FrequencyParams(), counts_for_checks()))


class _Fine:
    """Scores at random."""

    Params = MaskerParams
    needs_counts = False

    def __call__(self, inputs: TextMaskInputs) -> Any:
        return inputs.uniform()


class _NoDocstring(_Fine):
    __doc__ = None


class _Undeclared(_Fine):
    """Says nothing of counts."""

    needs_counts = None


class _ForeignParams(_Fine):
    """Has parameters of another kind."""

    Params = dict


class _Shape(_Fine):
    """One score per caption."""

    def __call__(self, inputs: TextMaskInputs) -> Any:
        return torch.zeros(len(inputs.ids))


class _Nan(_Fine):
    """Divides by zero."""

    def __call__(self, inputs: TextMaskInputs) -> Any:
        return torch.full(inputs.ids.shape, torch.nan)


class _Global(_Fine):
    """Moves torch's own generator."""

    def __call__(self, inputs: TextMaskInputs) -> Any:
        torch.rand(1)
        return inputs.uniform()


class _Writes(_Fine):
    """Writes into its input."""

    def __call__(self, inputs: TextMaskInputs) -> Any:
        scores = inputs.uniform()
        inputs.ids[0, 1] += 1
        return scores


class _Batch(_Fine):
    """Compares captions with each other."""

    def __call__(self, inputs: TextMaskInputs) -> Any:
        return inputs.uniform() + inputs.ids.float().mean()


class _Fixed(_Fine):
    """Without chance."""

    def __call__(self, inputs: TextMaskInputs) -> Any:
        return inputs.ids.float()


class _Old(_Fine):
    """Takes its inputs one by one."""

    def __call__(self, texts: Tensor, lengths: Tensor, *, progress: float, generator: torch.Generator) -> Any:  # type: ignore[override]
        return torch.rand(texts.shape, generator=generator)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (_NoDocstring, "Write a docstring"),
        (_Undeclared, "Declare `needs_counts`"),
        (_ForeignParams, "Params must derive from MaskerParams"),
        (_Old, r"`__call__` takes one TextMaskInputs since 0\.1\.0: use inputs\.ids"),
        (_Shape, "There must be a score per token"),
        (_Nan, "NaN or infinite"),
        (_Global, "global generator"),
        (_Writes, "writes into `inputs.ids`"),
        (_Batch, "change with the others of its batch"),
        (_Fixed, "Other generator states give the same scores"),
    ],
)
def test_a_broken_one_is_told_what_to_change(kind: type[Any], sentence: str) -> None:
    check_text_masker(_Fine())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=sentence):
        check_text_masker(kind())
