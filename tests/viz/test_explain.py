from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import pgsclip
from pgsclip.config.ratio import Ratio
from pgsclip.masking.handle import MaskerHandle
from pgsclip.masking.pixels import Grid
from pgsclip.viz.explain import Column, row_of_panels
from pgsclip.viz.pictures import Picture, normalised
from pgsclip.viz.sheet import masked


@pytest.fixture
def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    return Picture("a.png", image, normalised(image), Grid(4, 5, 16))


def _column(name: str, ratio: object) -> Column:
    return Column(pgsclip.masker(name), Ratio.parse(ratio))


def test_a_row_is_the_original_and_one_panel_for_each_masker(picture: Picture) -> None:
    columns = [_column("random", 0.5), _column("pgs", "0.3:0.5"), _column("none", 0)]
    panels = row_of_panels(picture, columns, seed=3, explain=False)
    assert [panel.title for panel in panels] == ["original", "random 0.5", "pgs 0.3:0.5", "none 0"]
    assert panels[0].note == "a.png"
    assert panels[1].note == "kept 50%"
    assert panels[3].note == "kept 100%"
    assert np.array_equal(np.asarray(panels[0].image), np.asarray(picture.image))


@pytest.mark.parametrize("ratio", [0.5, "0.3:0.7"])
def test_a_panel_shows_what_keep_gives_for_the_same_seed(picture: Picture, ratio: object) -> None:
    column = _column("pgs", ratio)
    [_, panel] = row_of_panels(picture, [column], seed=5, explain=False)
    kept = column.masker.keep(picture.pixels, 16, str(column.ratio), 5)[0]
    assert np.array_equal(np.asarray(panel.image), np.asarray(masked(picture.image, kept.numpy(), picture.grid)))
    assert panel.note == f"kept {len(kept) / 20:.0%}"


def test_an_explanation_stands_once_for_pgs_and_never_for_others(picture: Picture) -> None:
    columns = [_column("pgs", 0.5), _column("random", 0.5), _column("pgs", "0.3:0.5")]
    panels = row_of_panels(picture, columns, seed=0, explain=True)
    assert [panel.title for panel in panels[4:]] == ["pgs: edges", "pgs: candidates", "pgs: similarity"]
    assert panels[5].note == "1 of 20"
    assert len(row_of_panels(picture, columns[1:2], seed=0, explain=True)) == 2


def test_the_candidates_shown_are_those_that_the_mask_came_from(picture: Picture) -> None:
    """Without edges and transport a candidate is the most similar patch of all, so it must be hidden."""
    handle: MaskerHandle = pgsclip.masker("pgs", edges=False, transport=False)
    for seed in range(5):
        panels = row_of_panels(picture, [Column(handle, Ratio(0.1, 0.1))], seed=seed, explain=True)
        framed = np.asarray(panels[3].image)[1::16, 1::16]
        red = np.flatnonzero((framed == (230, 30, 30)).all(axis=2).ravel())
        hidden = np.asarray(panels[1].image)[1::16, 1::16] == 128
        assert red.size == 1
        assert hidden.all(axis=2).ravel()[red].all()


def test_global_chance_is_left_alone(picture: Picture) -> None:
    state = torch.get_rng_state()
    row_of_panels(picture, [_column("pgs", 0.5)], seed=0, explain=True)
    assert torch.equal(state, torch.get_rng_state())
