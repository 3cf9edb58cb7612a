from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from pgsclip.grid import Grid
from pgsclip.mask_quality.mask_metrics import GroundTruth, find_ground_truth, measure_masks
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD


def _shown(*rows: str) -> torch.Tensor:
    return torch.tensor([[letter == "1" for letter in row] for row in rows])


def test_figures_of_a_case_worked_by_hand() -> None:
    truth = GroundTruth(_shown("1100", "1000"), torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.1, 0.2, 0.3, 0.4]]))
    found = measure_masks([_shown("1010", "0111"), _shown("1100", "1111")], truth)
    assert found.recall.tolist() == [0.75, 0.5]
    assert found.removed.tolist() == [0.75, 0.0]
    assert found.edges.tolist() == pytest.approx([0.75, 0.95])
    assert found.overlap.tolist() == pytest.approx([0.5, 6 / 7])
    assert found.kept.tolist() == [0.5, 0.875]


def test_overlap_is_the_mean_over_all_pairs_of_views() -> None:
    truth = GroundTruth(_shown("1000"), torch.full((1, 4), 0.25))
    found = measure_masks([_shown("1100"), _shown("1100"), _shown("0011")], truth)
    assert found.overlap.tolist() == pytest.approx([1 / 3])
    assert np.isnan(measure_masks([_shown("1100")], truth).overlap).all()


def test_a_picture_that_is_object_everywhere_has_no_background_to_remove() -> None:
    truth = GroundTruth(_shown("11", "10"), torch.zeros(2, 2))
    found = measure_masks([_shown("10", "10")] * 2, truth)
    assert np.isnan(found.removed[0])
    assert found.removed[1] == 1


def test_half_a_patch_is_object_and_the_most_covered_one_where_none_is() -> None:
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, :2, :4] = True  # half of the first patch
    masks[0, 4:, 4:7] = True  # three quarters of the last
    masks[1, 0, :4] = True  # a quarter of the first, less of the second
    masks[1, 0, 4:6] = True
    found = find_ground_truth(torch.rand(2, 3, 8, 8), masks, Grid(2, 2, 4))
    assert found.objects.tolist() == [[True, False, False, True], [True, False, False, False]]


def test_edge_energy_is_opencvs_squared_gradient() -> None:
    gray = np.random.default_rng(0).random((12, 16), np.float32)
    mean, std = (torch.tensor(value).reshape(1, 3, 1, 1) for value in (CLIP_MEAN, CLIP_STD))
    images = (torch.from_numpy(gray).expand(1, 3, -1, -1) - mean) / std
    energy = cv2.Sobel(gray, cv2.CV_64F, 1, 0) ** 2 + cv2.Sobel(gray, cv2.CV_64F, 0, 1) ** 2
    shares = energy.reshape(3, 4, 4, 4).sum(axis=(1, 3)).ravel() / energy.sum()
    masks = torch.ones(1, 12, 16, dtype=torch.bool)
    np.testing.assert_allclose(find_ground_truth(images, masks, Grid(3, 4, 4)).edges[0].numpy(), shares, rtol=1e-3)
    assert find_ground_truth(torch.zeros(1, 3, 12, 16), masks, Grid(3, 4, 4)).edges.sum() < 1e-3
