from __future__ import annotations

import numpy as np
import pytest
import torch

from pgsclip.errors import MaskerError
from pgsclip.masking.text.contract import TextMaskInputs
from pgsclip.masking.text.frequency import FrequencyMasker, FrequencyParams
from pgsclip.masking.text.shorten import shorten

COUNTS = torch.tensor([0, 900_000, 90_000, 9_990, 10, 0])


def _scores(texts: torch.Tensor, seed: int = 0, **params: float) -> torch.Tensor:
    masker = FrequencyMasker(FrequencyParams(**params), COUNTS)
    lengths = torch.full((len(texts),), texts.shape[1])
    return masker(TextMaskInputs(texts, lengths, 0.0, torch.Generator().manual_seed(seed)))


def test_scores_are_chance_less_the_published_probability() -> None:
    texts = torch.tensor([[1, 2, 3, 4, 5]])
    chance = torch.rand(1, 5, generator=torch.Generator().manual_seed(4))
    share = np.array([0.9, 0.09, 0.00999, 0.00001])
    masked = [*(1 - np.sqrt(1e-6 / share)), 0.0]  # a token that was never counted is kept for its rarity
    np.testing.assert_allclose((chance - _scores(texts, seed=4))[0].numpy(), masked, atol=1e-6)


def test_words_rarer_than_the_threshold_are_never_masked_for_being_common() -> None:
    texts = torch.tensor([[1, 2, 3, 4, 5]])
    chance = torch.rand(1, 5, generator=torch.Generator().manual_seed(4))
    assert torch.allclose(_scores(texts, seed=4, threshold=1.0), chance)


def test_rare_words_stay_more_often() -> None:
    texts = torch.tensor([[6, 1, 4, 1, 1, 7]]).expand(3000, -1)
    counts = torch.cat([COUNTS, torch.zeros(2, dtype=torch.int64)])
    masker, lengths = FrequencyMasker(FrequencyParams(), counts), torch.full((3000,), 6)
    chance = torch.Generator().manual_seed(0)
    short, _ = shorten(texts, lengths, masker(TextMaskInputs(texts, lengths, 0.0, chance)), 3, chance)
    rare = (short[:, 1] == 4).float().mean().item()
    # it wins when its draw, lifted by sqrt(1e-6 / 1e-5), beats the best of three others
    lift, draws = np.sqrt(0.1) - np.sqrt(1e-6 / 0.9), np.linspace(0, 1, 100_001)
    expected = np.clip(draws + lift, 0, 1) ** 3
    assert abs(rare - expected.mean()) < 5 * (0.25 / 3000) ** 0.5
    assert rare > 0.4, "against 0.25 by chance"


def test_without_counts_it_says_so() -> None:
    with pytest.raises(MaskerError, match="'frequency' needs how often each token stands in the captions"):
        FrequencyMasker(FrequencyParams(), None)
