from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import pgsclip
from pgsclip.config.ratio import Ratio
from pgsclip.grid import Grid
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.viz.explain import MaskerColumn, draw_explanation, draw_row
from pgsclip.viz.pictures import Picture, normalise_image
from pgsclip.viz.sheet import hide_patches


@pytest.fixture
def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    return Picture("a.png", image, normalise_image(image), Grid(4, 5, 16))


def _column(name: str, ratio: object) -> MaskerColumn:
    return MaskerColumn(pgsclip.masker(name), Ratio.parse(ratio))


def test_a_row_is_the_original_and_one_panel_for_each_masker(picture: Picture) -> None:
    columns = [_column("random", 0.5), _column("pgs", "0.3:0.5"), _column("none", 0)]
    panels = draw_row(picture, columns, seed=3, explain=False)
    assert [panel.title for panel in panels] == ["original", "random 0.5", "pgs 0.3:0.5", "none 0"]
    assert panels[0].note == "a.png"
    assert panels[1].note == "kept 50%"
    assert panels[3].note == "kept 100%"
    assert np.array_equal(np.asarray(panels[0].image), np.asarray(picture.image))


@pytest.mark.parametrize("ratio", [0.5, "0.3:0.7"])
def test_a_panel_shows_what_keep_gives_for_the_same_seed(picture: Picture, ratio: object) -> None:
    column = _column("pgs", ratio)
    [_, panel] = draw_row(picture, [column], seed=5, explain=False)
    kept = column.masker.keep(picture.pixels, 16, str(column.ratio), 5)[0]
    assert np.array_equal(np.asarray(panel.image), np.asarray(hide_patches(picture.image, kept.numpy(), picture.grid)))
    assert panel.note == f"kept {len(kept) / 20:.0%}"


def test_an_explanation_stands_once_for_pgs_and_never_for_others(picture: Picture) -> None:
    columns = [_column("pgs", 0.5), _column("random", 0.5), _column("pgs", "0.3:0.5")]
    panels = draw_row(picture, columns, seed=0, explain=True)
    assert [panel.title for panel in panels[4:]] == [
        "pgs: edges",
        "pgs: candidates",
        "pgs: similarity",
        "pgs: transport",
        "pgs: score",
    ]
    assert panels[5].note == "1 of 20"
    assert len(draw_row(picture, columns[1:2], seed=0, explain=True)) == 2


def test_without_transport_there_is_no_panel_of_it(picture: Picture) -> None:
    titles = [panel.title for panel in draw_explanation(picture, pgsclip.masker("pgs", transport=False), 0)]
    assert titles == ["pgs: edges", "pgs: candidates", "pgs: similarity", "pgs: score"]


def test_salient_shows_its_border_and_what_is_novel(picture: Picture) -> None:
    border, novelty, score = draw_explanation(picture, pgsclip.masker("salient"), 0)
    assert (border.title, border.note) == ("salient: border", "7 of 20")
    assert (novelty.title, score.title) == ("salient: novelty", "salient: score")
    assert not np.array_equal(np.asarray(novelty.image), np.asarray(score.image)), "noise comes between"


def test_a_patch_that_stays_is_brighter_in_the_score(picture: Picture) -> None:
    handle = pgsclip.masker("pgs")
    score = draw_explanation(picture, handle, 3)[-1]
    kept = handle.keep(picture.pixels, 16, 0.5, 3)[0].numpy()
    light = np.asarray(score.image.convert("L"), float).reshape(4, 16, 5, 16)
    grey = np.asarray(Image.fromarray(np.asarray(picture.image)).convert("L"), float).reshape(4, 16, 5, 16)
    heat = (light - 0.3 * grey).mean(axis=(1, 3)).ravel()
    assert heat[kept].min() > np.delete(heat, kept).max() - 2


def test_embeddings_count_as_training_goes_on(picture: Picture) -> None:
    seen = picture._replace(embeddings=torch.randn(1, 20, 12, generator=torch.Generator().manual_seed(0)))
    column = _column("cluster", 0.5)
    assert torch.equal(
        column.choose_patches(seen, seed=1, progress=0.0), column.choose_patches(picture, seed=1, progress=0.0)
    )
    assert not torch.equal(
        column.choose_patches(seen, seed=1, progress=1.0), column.choose_patches(picture, seed=1, progress=1.0)
    )
    early, late = (draw_explanation(seen, pgsclip.masker("pgs"), 0, progress) for progress in (0.0, 1.0))
    assert not np.array_equal(np.asarray(early[2].image), np.asarray(late[2].image))


def test_the_candidates_shown_are_those_that_the_mask_came_from(picture: Picture) -> None:
    """Without edges and transport a candidate is the most similar patch of all, so it must be hidden."""
    handle: MaskerHandle = pgsclip.masker("pgs", edges=False, transport=False)
    for seed in range(5):
        panels = draw_row(picture, [MaskerColumn(handle, Ratio(0.1, 0.1))], seed=seed, explain=True)
        framed = np.asarray(panels[3].image)[1::16, 1::16]
        red = np.flatnonzero((framed == (230, 30, 30)).all(axis=2).ravel())
        hidden = np.asarray(panels[1].image)[1::16, 1::16] == 128
        assert red.size == 1
        assert hidden.all(axis=2).ravel()[red].all()


def test_global_chance_is_left_alone(picture: Picture) -> None:
    state = torch.get_rng_state()
    draw_row(picture, [_column("pgs", 0.5)], seed=0, explain=True)
    assert torch.equal(state, torch.get_rng_state())
