from __future__ import annotations

import torch

from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskerParams, MaskInputs
from pgsclip.masking.maskers.none import KeepAll


def test_a_ratio_given_all_the_same_would_fall_by_chance() -> None:
    masker = KeepAll(MaskerParams())
    images, patches = torch.zeros(2, 3, 32, 32), torch.zeros(2, 16, 8, dtype=torch.bfloat16)
    first, again, other = (
        masker(MaskInputs(images, patches, Grid(4, 4, 8), 0.0, torch.Generator().manual_seed(seed)))
        for seed in (0, 0, 1)
    )
    assert first.ratio is None
    assert torch.equal(first.keep, again.keep)
    assert not torch.equal(first.keep, other.keep)
