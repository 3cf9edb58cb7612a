from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "any_tower.py"


def test_three_towers_see_a_part_of_the_patches(capsys: pytest.CaptureFixture[str]) -> None:
    page = runpy.run_path(str(EXAMPLE))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        losses = page["timm_vit"]()
        assert sum(losses[-3:]) < sum(losses[:3])
        assert page["open_clip_vit"]().shape == (32, 64)
        assert page["clip_vision_model"]().shape == (32, 64)
    said = capsys.readouterr().out
    assert said.count("of 50% of the patches") == 2
    assert "loss" in said
