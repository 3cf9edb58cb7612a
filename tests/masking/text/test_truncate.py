from __future__ import annotations

import torch

from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMaskInputs
from pgsclip.masking.text.shorten import shorten
from pgsclip.masking.text.truncate import Truncate


def test_the_first_words_stay() -> None:
    texts = torch.tensor([[48, 5, 6, 7, 8, 49], [48, 9, 49, 0, 0, 0]])
    lengths, chance = torch.tensor([6, 3]), torch.Generator().manual_seed(0)
    scores = Truncate(MaskerParams())(TextMaskInputs(texts, lengths, 0.0, chance))
    short, _ = shorten(texts, lengths, scores, 4, chance)
    assert short.tolist() == [[48, 5, 6, 49], [48, 9, 49, 0]]
