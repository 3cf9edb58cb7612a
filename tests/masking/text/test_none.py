from __future__ import annotations

import torch

from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMaskInputs
from pgsclip.masking.text.none import KeepAllWords


def test_whoever_shortens_all_the_same_gets_an_unbiased_choice() -> None:
    texts = torch.ones(2000, 6, dtype=torch.int64)
    inputs = TextMaskInputs(texts, torch.full((2000,), 6), 0.0, torch.Generator().manual_seed(0))
    scores = KeepAllWords(MaskerParams())(inputs)
    assert (scores.mean(dim=0) - 0.5).abs().max() < 5 * (1 / 12 / 2000) ** 0.5
