from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import pgsclip
from pgsclip.config.ratio import Ratio
from pgsclip.grid import Grid
from pgsclip.viz.explain import MaskerColumn
from pgsclip.viz.keep_frequency import draw_keep_frequency, measure_keep_frequency
from pgsclip.viz.pictures import Picture, normalise_image


@pytest.fixture
def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    return Picture("a.png", image, normalise_image(image), Grid(4, 5, 16))


def _column(name: str, ratio: float = 0.5) -> MaskerColumn:
    return MaskerColumn(pgsclip.masker(name), Ratio.parse(ratio))


def test_survival_counts_the_views_of_keep(picture: Picture) -> None:
    column = _column("random")
    views = [set(column.masker.keep(picture.pixels, 16, 0.5, seed)[0].tolist()) for seed in (7, 8, 9)]
    often, overlap = measure_keep_frequency(picture, column, seed=7, seeds=3)
    assert (often * 3).round().tolist() == [sum(place in view for view in views) for place in range(20)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert overlap == pytest.approx(sum(len(views[a] & views[b]) for a, b in pairs) / 30)


def test_what_never_changes_overlaps_wholly(picture: Picture) -> None:
    often, overlap = measure_keep_frequency(
        picture, MaskerColumn(pgsclip.masker("none"), Ratio(0.0, 0.0)), seed=0, seeds=4
    )
    assert often.eq(1).all()
    assert overlap == pytest.approx(1)


def test_a_row_is_the_original_and_a_heat_map_for_each_masker(picture: Picture) -> None:
    panels = draw_keep_frequency(picture, [_column("random"), _column("salient", 0.3)], seed=0, seeds=5)
    assert [panel.title for panel in panels] == ["original", "random 0.5", "salient 0.3"]
    assert panels[1].note.startswith("5 views, overlap ")
    assert panels[1].image.size == (80, 64)
