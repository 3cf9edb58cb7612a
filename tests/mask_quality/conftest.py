"""Photographs with a known object, composed by the example that shows how."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from pgsclip.mask_quality.examples import Example
from pgsclip.masking.pixels import normalise_pixels

EXAMPLE = Path(__file__).parents[2] / "examples" / "known_objects.py"


@pytest.fixture(scope="session")
def photographs() -> list[Example]:
    """40 of 224 x 224 pixels: each of eight objects on each of five grounds."""
    found = runpy.run_path(str(EXAMPLE))["photographs"](40)
    return [
        Example(one.name, one.name.rpartition(" ")[2], normalise_pixels(one.image), torch.from_numpy(one.mask))
        for one in found
    ]
