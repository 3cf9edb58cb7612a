"""Kept patches of every built-in masker on one drawn image, patch by patch.

A change here is a change of every run that anybody repeats: it belongs in CHANGELOG.md. When it is meant, write the
file anew with `python tests/golden/test_masks.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pgsclip
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD

FILE = Path(__file__).with_name("masks.json")
CASES: dict[str, tuple[str, dict[str, Any], float | str]] = {
    "none": ("none", {}, 0.5),
    "random 0.5": ("random", {}, 0.5),
    "centered 0.5": ("centered", {}, 0.5),
    "cluster 0.5": ("cluster", {}, 0.5),
    "cluster 0.3:0.5": ("cluster", {}, "0.3:0.5"),
    "pgs 0.5": ("pgs", {}, 0.5),
    "pgs 0.3": ("pgs", {}, 0.3),
    "pgs 0.3:0.7": ("pgs", {}, "0.3:0.7"),
    "pgs canny 0.5": ("pgs", {"edges": "canny"}, 0.5),
    "pgs without edges 0.5": ("pgs", {"edges": False}, 0.5),
    "pgs without transport 0.5": ("pgs", {"transport": False}, 0.5),
    "salient 0.5": ("salient", {}, 0.5),
    "salient 0.3:0.7": ("salient", {}, "0.3:0.7"),
}


def drawn_image() -> Tensor:
    """(1, 3, 96, 128): a checked disc on a sloping sky, from whole numbers alone."""
    y, x = np.mgrid[:96, :128]
    sky = np.stack([90 + y, 120 + y // 2 + x // 8, 220 - y // 3], axis=-1)
    checks = (x // 5 + y // 7) % 3 * 60 + (x * 7 + y * 13) % 31
    disc = np.stack([checks + 40, 200 - checks, checks // 2 + 20], axis=-1)
    inside = (y - 52) ** 2 + (x - 70) ** 2 < 30**2
    pixels = torch.from_numpy(np.where(inside[..., None], disc, sky)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(value).reshape(3, 1, 1) for value in (CLIP_MEAN, CLIP_STD))
    return ((pixels - mean) / std).unsqueeze(0)


def kept_patches(case: str) -> list[int]:
    name, params, ratio = CASES[case]
    kept: list[int] = pgsclip.masker(name, **params).keep(drawn_image(), patch_size=8, ratio=ratio, seed=17)[0].tolist()
    return kept


def test_the_file_holds_every_case() -> None:
    assert list(json.loads(FILE.read_text())) == list(CASES)


@pytest.mark.parametrize("case", CASES)
def test_masks_are_those_of_the_file(case: str) -> None:
    assert kept_patches(case) == json.loads(FILE.read_text())[case]


if __name__ == "__main__":
    rows = ",\n".join(f'  "{case}": {json.dumps(kept_patches(case))}' for case in CASES)
    FILE.write_text(f"{{\n{rows}\n}}\n")
