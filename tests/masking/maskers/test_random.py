from __future__ import annotations

import torch

from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskerParams, MaskInputs
from pgsclip.masking.maskers.random import RandomMasker
from pgsclip.masking.selection import select


def test_every_patch_and_every_pair_is_kept_equally_often() -> None:
    generator = torch.Generator().manual_seed(0)
    images, patches = torch.zeros(4000, 3, 12, 12), torch.zeros(4000, 9, 2)
    scores = RandomMasker(MaskerParams())(MaskInputs(images, patches, Grid(3, 3, 4), 0.0, generator))
    shown = torch.zeros(4000, 9).scatter(1, select(scores.keep, 0.5, generator), 1)
    pairs = shown.T @ shown / 4000
    chance = 4 / 9
    assert (pairs.diagonal() - chance).abs().max() < 5 * (chance * (1 - chance) / 4000) ** 0.5
    together = pairs[~torch.eye(9, dtype=torch.bool)]
    chance = 4 / 9 * 3 / 8
    assert (together - chance).abs().max() < 5 * (chance * (1 - chance) / 4000) ** 0.5


def test_what_the_image_shows_does_not_matter() -> None:
    masker = RandomMasker(MaskerParams())
    first, other = (
        masker(MaskInputs(images, torch.randn(2, 16, 8), Grid(4, 4, 8), progress, torch.Generator().manual_seed(3)))
        for images, progress in ((torch.zeros(2, 3, 32, 32), 0.0), (torch.randn(2, 3, 32, 32), 1.0))
    )
    assert torch.equal(first.keep, other.keep)
    assert first.ratio is None
