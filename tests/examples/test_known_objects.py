from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "known_objects.py"


def test_it_writes_photographs_with_their_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["known_objects.py", str(tmp_path / "photos"), "--count", "40", "--side", "64"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    images = sorted(path for path in (tmp_path / "photos").rglob("*.png") if not path.stem.endswith("_mask"))
    assert len(images) == 40
    assert {path.parent.name for path in images} == {"brick", "grass", "gravel", "sky", "table"}
    assert len({(path.parent.name, path.stem[5:]) for path in images}) == 40, "every object on every ground"
    for path in images:
        with Image.open(path) as image, Image.open(path.with_name(path.stem + "_mask.png")) as shape:
            assert image.size == (64, 64)
            mask = np.asarray(shape)
        assert mask.shape == (64, 64)
        assert 0.02 < (mask > 0).mean() < 0.6
