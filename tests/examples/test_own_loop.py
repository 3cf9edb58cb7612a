from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_loop.py"


def test_it_learns_with_half_of_the_patches(capsys: pytest.CaptureFixture[str]) -> None:
    losses = runpy.run_path(str(EXAMPLE))["main"]()
    assert sum(losses[-3:]) < 0.98 * sum(losses[:3])
    assert "32 of 64 patches" in capsys.readouterr().out
