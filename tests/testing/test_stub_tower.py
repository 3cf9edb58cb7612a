from __future__ import annotations

import torch

from pgsclip.masking.contract import Vision
from pgsclip.testing.stub_tower import StubTower


def test_it_is_a_vision_whose_rows_sum_to_one_and_whose_copy_is_its_own() -> None:
    before = torch.get_rng_state()
    vision = StubTower(8)
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(vision, Vision)
    pooled, attention = vision.attend(torch.randn(3, 3, 16, 24))
    assert (pooled.shape, attention.shape) == ((3, 4), (3, 2, 2, 6))
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, 2, 2))
    twin = vision.copy()
    with torch.no_grad():
        vision.tower.weight.zero_()
    assert twin.tower.weight.abs().sum() > 0
    assert not twin.tower.weight.requires_grad
