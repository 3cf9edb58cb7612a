from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import pgsclip
from pgsclip.config.ratio import Ratio
from pgsclip.grid import Grid
from pgsclip.viz.explain import MaskerColumn
from pgsclip.viz.over_progress import STRIP, draw_frames, draw_strips
from pgsclip.viz.pictures import Picture, normalise_image
from pgsclip.viz.sheet import hide_patches


@pytest.fixture
def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    embeddings = torch.randn(1, 20, 12, generator=torch.Generator().manual_seed(0))
    return Picture("a.png", image, normalise_image(image), Grid(4, 5, 8), embeddings)


def test_a_strip_shows_the_mask_of_each_point_of_progress(picture: Picture) -> None:
    columns = [MaskerColumn(pgsclip.masker(name), Ratio(0.5, 0.5)) for name in ("cluster", "random")]
    moving, still = draw_strips(picture, columns, seed=2)
    assert [panel.note for panel in moving] == ["a.png", *(f"progress {point:.1f}" for point in STRIP)]
    assert STRIP[0] == 0
    assert STRIP[-1] == 1
    for panel, point in zip(moving[1:], STRIP, strict=True):
        kept = columns[0].masker.keep(picture.pixels, 8, 0.5, 2, embeddings=picture.embeddings, progress=point)[0]
        assert np.array_equal(
            np.asarray(panel.image), np.asarray(hide_patches(picture.image, kept.numpy(), picture.grid))
        )
    assert len({panel.image.tobytes() for panel in moving[1:]}) > 1
    assert len({panel.image.tobytes() for panel in still[1:]}) == 1


def test_frames_are_sheets_of_one_size(picture: Picture) -> None:
    found = draw_frames([picture, picture], [MaskerColumn(pgsclip.masker("cluster"), Ratio(0.5, 0.5))], seed=0)
    assert len(found) == 21
    assert len({frame.size for frame in found}) == 1
    assert found[0].tobytes() != found[-1].tobytes()
