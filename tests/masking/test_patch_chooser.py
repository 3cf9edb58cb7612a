from __future__ import annotations

import torch

from pgsclip.config.ratio import Ratio
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs, MaskScores
from pgsclip.masking.patch_chooser import PatchChooser


def _score(inputs: MaskInputs) -> MaskScores:
    """Later patches are better, image b asks for b quarters, and the masker has features of its own."""
    assert not torch.is_grad_enabled()
    count = len(inputs.images)
    keep = torch.arange(inputs.grid.patches).float().expand(count, -1)
    return MaskScores(keep, torch.arange(count) / 4, inputs.images.mean(dim=(2, 3)) + inputs.progress)


def test_a_step_is_shown_the_best_patches_and_hands_the_maskers_features_on() -> None:
    images = torch.randn(3, 3, 8, 8)
    chooser = PatchChooser(_score, Ratio(0.0, 0.5), max_passes=3, exactly=True)
    visible = chooser.at(0.25, torch.Generator().manual_seed(0))(images, torch.zeros(3, 4, 2), Grid(2, 2, 4))
    shown = {
        int(row): patches.tolist() for rows, kept in visible.buckets for row, patches in zip(rows, kept, strict=True)
    }
    assert shown == {0: [0, 1, 2, 3], 1: [1, 2, 3], 2: [2, 3]}
    assert torch.equal(visible.masker_features, images.mean(dim=(2, 3)) + 0.25)


def test_a_fixed_ratio_is_one_bucket() -> None:
    chooser = PatchChooser(_score, Ratio(0.5, 0.5), max_passes=3, exactly=True)
    [bucket] = chooser.at(0.0, torch.Generator())(torch.zeros(3, 3, 8, 8), torch.zeros(3, 4, 2), Grid(2, 2, 4)).buckets
    assert (bucket.rows.tolist(), bucket.patches.tolist()) == ([0, 1, 2], [[2, 3]] * 3)
