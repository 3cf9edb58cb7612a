from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pgsclip.data.generated import (
    COLOURS,
    HELD_OUT,
    PLACES,
    SHAPES,
    SIDE,
    SIZES,
    TEMPLATES,
    TEXTURES,
    TRAINING,
    GeneratedSource,
    classes,
    scene,
)
from pgsclip.data.source import WorkerPass


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([TRAINING, HELD_OUT]), st.integers(0, 10**7))
def test_a_scene_is_a_function_of_stream_and_number(stream: str, index: int) -> None:
    first, again = scene(stream, index), scene(stream, index)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert first.caption == again.caption


def test_streams_share_no_scene() -> None:
    pictures = {scene(stream, index).image.tobytes() for stream in (TRAINING, HELD_OUT) for index in range(300)}
    assert len(pictures) == 600


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**7), st.sampled_from([SIDE, 64, 224]))
def test_caption_tells_the_truth_about_the_pixels(index: int, side: int) -> None:
    found = scene(TRAINING, index, side)
    inside = found.image[found.mask]
    assert (inside == inside[0]).all()
    nearest = min(COLOURS, key=lambda name: int(np.abs(inside[0].astype(int) - COLOURS[name]).max()))
    assert nearest == found.colour
    assert f"{found.colour} {found.shape}" in found.caption
    rows, columns = np.nonzero(found.mask)
    centre = np.array([rows.min() + rows.max(), columns.min() + columns.max()]) / 2 / side
    away = {name: float(np.abs(centre - PLACES[name]).max()) for name in PLACES}
    told = [name for name in PLACES if found.caption.partition(" on a ")[0].endswith(name)]
    # between two places a lopsided shape's box may lean to the other one
    assert all(away[name] < min(away.values()) + 0.04 for name in told)
    radius = max(np.ptp(rows), np.ptp(columns)) / 2 / side
    sizes = [size for size in SIZES if found.caption.startswith(f"a {size} ")]
    # half the side of a square is 0.7 of the radius of its corners
    assert all(0.6 * SIZES[size] < radius < 1.2 * SIZES[size] for size in sizes)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**7))
def test_object_is_one_whole_thing(index: int) -> None:
    found = scene(HELD_OUT, index)
    assert found.image.shape == (SIDE, SIDE, 3)
    assert found.mask.shape == (SIDE, SIDE)
    assert 0.005 < found.mask.mean() < 0.3
    assert ndimage.label(found.mask, np.ones((3, 3)))[1] == 1
    holes = ndimage.binary_fill_holes(found.mask) & ~found.mask
    assert holes.any() == (found.shape == "ring")


def test_mask_covers_the_object_to_the_pixel() -> None:
    for index in range(100):
        found = scene(TRAINING, index)
        colour = found.image[found.mask][0]
        outside = found.image[~found.mask].astype(int)
        assert (np.abs(outside - colour).max(axis=1) > 3).mean() > 0.99, found.caption


def test_everything_there_is_appears_about_equally_often() -> None:
    scenes = [scene(TRAINING, index, 32) for index in range(1200)]
    assert set(Counter(found.label for found in scenes)) == set(range(48))
    colours, shapes = (Counter(getattr(found, what) for found in scenes) for what in ("colour", "shape"))
    assert min(colours[name] for name in COLOURS) > 100
    assert min(shapes[name] for name in SHAPES) > 150
    for texture in TEXTURES:
        assert sum(f"on a {texture} background" in found.caption for found in scenes) > 50
    assert 0.7 < sum(any(size in found.caption for size in SIZES) for found in scenes) / 1200 < 0.9


def test_classes_are_every_colour_of_every_shape() -> None:
    assert len(classes()) == len(set(classes())) == 48
    assert (classes()[0], classes()[-1]) == ("red circle", "black ring")
    found = scene(TRAINING, 5)
    assert classes()[found.label] == f"{found.colour} {found.shape}"
    assert all("{c}" in template for template in TEMPLATES)


@pytest.mark.parametrize(
    ("stream", "index", "caption", "digest"),
    [
        (TRAINING, 0, "a medium-sized green triangle", "af123a25867a0dd1"),
        (TRAINING, 99_999, "a small red cross in the bottom right corner", "a2e7933f51623481"),
        (HELD_OUT, 0, "a red star in the bottom left corner on a dotted background", "e02c8391934f5007"),
        (HELD_OUT, 999, "a blue circle on the right on a striped background", "7d7833575a176f11"),
    ],
)
def test_scenes_stay_what_published_numbers_were_measured_on(
    stream: str, index: int, caption: str, digest: str
) -> None:
    found = scene(stream, index)
    content = found.image.tobytes() + np.packbits(found.mask).tobytes()
    assert (found.caption, hashlib.sha256(content).hexdigest()[:16]) == (caption, digest)


def test_source_deals_out_every_scene_and_skips() -> None:
    source = GeneratedSource(size=23)
    shares = [[item.key for item in source.read(WorkerPass(number, 4, 1, 0))] for number in range(4)]
    assert sorted(key for share in shares for key in share) == [f"{index:08d}" for index in range(23)]
    assert [item.key for item in source.read(WorkerPass(2, 4, 1, 0), 3)] == shares[2][3:]
    assert source.description == "23 generated scenes"
    assert source.shards is None
    assert GeneratedSource().size == 100_000


def test_source_gives_the_scene_of_its_stream() -> None:
    (item,) = GeneratedSource(HELD_OUT, 1).read_all()
    assert (item.shard, item.key) == (HELD_OUT, "00000000")
    assert item.caption == scene(HELD_OUT, 0).caption
    assert np.array_equal(np.array(item.picture()), scene(HELD_OUT, 0).image)
