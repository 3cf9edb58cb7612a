from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops

from pgsclip.grid import Grid
from pgsclip.viz.sheet import GRID, HIDDEN, Panel, compose, draw_heat, enlarge, hide_patches, outline_patches

SIDE = Grid(3, 4, 8)


def _image(grid: Grid = SIDE) -> Image.Image:
    size = (grid.rows * grid.side, grid.columns * grid.side, 3)
    return Image.fromarray(np.random.default_rng(0).integers(0, 100, size, dtype=np.uint8))


def _patch(image: Image.Image, number: int, grid: Grid = SIDE) -> np.ndarray:
    top, left = number // grid.columns * grid.side, number % grid.columns * grid.side
    return np.asarray(image)[top : top + grid.side, left : left + grid.side]


def test_hidden_patches_are_exactly_grey_and_kept_ones_are_unchanged_but_for_the_grid() -> None:
    image, keep = _image(), np.array([0, 5, 11])
    before = np.array(image)
    sheet = hide_patches(image, keep, SIDE)
    for number in range(12):
        shown = _patch(sheet, number)
        expected = _patch(image, number) if number in keep else np.full((8, 8, 3), HIDDEN)
        assert np.array_equal(shown[1:, 1:], expected[1:, 1:])
        assert (shown[0] == GRID).all()
        assert (shown[:, 0] == GRID).all()
    assert np.array_equal(np.asarray(image), before), "the original is drawn beside it"


@pytest.mark.parametrize("side", [1, 2, 3])
def test_tiny_patches_are_not_buried_under_the_grid(side: int) -> None:
    grid = Grid(4, 4, side)
    image = _image(grid)
    sheet = np.asarray(hide_patches(image, np.arange(8), grid))
    assert np.array_equal(sheet[: 2 * side], np.asarray(image)[: 2 * side])
    assert (sheet[2 * side :] == HIDDEN).all()


def test_heat_is_one_colour_order_from_dark_to_bright_per_patch() -> None:
    values = np.linspace(0, 1, 12, dtype=np.float32)
    drawn = draw_heat(Image.new("RGB", (32, 24), (90, 90, 90)), values, SIDE)
    light = [_patch(drawn, number).astype(float).mean() for number in range(12)]
    assert light == sorted(light)
    assert light[-1] > light[0] + 80
    red, _, blue = _patch(drawn, 11).mean(axis=(0, 1))
    assert red > blue, "1 is yellow, not its mirror image in blue"
    for number in range(12):
        assert np.ptp(_patch(drawn, number), axis=(0, 1)).max() == 0


def test_values_outside_the_scale_do_not_wrap_around() -> None:
    image = Image.new("RGB", (32, 24))
    beyond, ends = (
        draw_heat(image, np.array([low, high] * 6, np.float32), SIDE) for low, high in ((-0.5, 1.5), (0.0, 1.0))
    )
    assert np.array_equal(np.asarray(beyond), np.asarray(ends))


def test_frames_stand_around_the_named_patches_and_nowhere_else() -> None:
    image = _image(Grid(3, 4, 16))
    drawn = outline_patches(image, np.array([1, 10]), Grid(3, 4, 16))
    for number in range(12):
        before, after = (_patch(each, number, Grid(3, 4, 16)) for each in (image, drawn))
        if number in (1, 10):
            assert (after[0] == (230, 30, 30)).all()
            assert (after[:, -1] == (230, 30, 30)).all()
            assert np.array_equal(after[4:12, 4:12], before[4:12, 4:12])
        else:
            assert np.array_equal(after, before)


def _found(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    away = (
        ImageChops.difference(sheet, Image.new("RGB", sheet.size, colour)).convert("L").point(lambda v: 255 * (v == 0))
    )
    box = away.getbbox()
    assert box is not None
    return box


def test_panels_stand_in_rows_and_columns_and_do_not_overlap() -> None:
    colours = [[(250, 0, 0), (0, 250, 0)], [(0, 0, 250), (250, 250, 0)]]
    sizes = [[(40, 30), (80, 50)], [(60, 20), (40, 20)]]
    rows = [
        [Panel("t", Image.new("RGB", size, colour), "n") for size, colour in zip(*each, strict=True)]
        for each in zip(sizes, colours, strict=True)
    ]
    sheet = compose(rows)
    boxes = [[_found(sheet, colour) for colour in row] for row in colours]
    for row, given in zip(boxes, sizes, strict=True):
        for box, size in zip(row, given, strict=True):
            assert (box[2] - box[0], box[3] - box[1]) == size
    for row in boxes:
        assert row[0][2] < row[1][0]
        assert row[0][1] == row[1][1], "tops are level"
    assert max(box[3] for box in boxes[0]) < min(box[1] for box in boxes[1])
    for top, bottom in zip(*boxes, strict=True):
        assert abs((top[0] + top[2]) - (bottom[0] + bottom[2])) <= 2, "columns are centred"


def test_rows_of_unequal_length_fit() -> None:
    short, long = [Panel("a", _image())], [Panel("a", _image()), Panel("b", _image())]
    assert compose([short, long]).size == compose([long, short]).size


@pytest.mark.parametrize("place", ["title", "note"])
def test_a_long_text_makes_its_column_wider_and_leaves_the_neighbour_alone(place: str) -> None:
    text = "a photograph with a very long name that somebody gave it.jpg"
    narrow = Image.new("RGB", (32, 24), (0, 250, 0))
    panels = [Panel("", narrow), Panel("", narrow)]
    short = compose([panels])
    sheet = compose([[Panel(**{"title": "", "note": "", place: text}, image=narrow), panels[1]]])
    assert sheet.width > short.width + 300
    dark = np.asarray(sheet.convert("L")) < 100
    columns = np.flatnonzero(dark.any(axis=0))
    neighbour = sheet.width - 12 - 32
    assert columns.max() < neighbour
    assert columns.min() >= 11


def test_a_name_of_two_lines_is_drawn() -> None:
    assert compose([[Panel("t", _image(), "two\nlines.jpg")]]).height > 24


def test_small_panels_are_enlarged_by_one_factor() -> None:
    rows = [[Panel("a", _image()), Panel("b", Image.new("RGB", (64, 48)))]]
    [[small, large]] = enlarge(rows, 100)
    assert small.image.size == (128, 96)
    assert large.image.size == (256, 192)
    assert np.array_equal(np.asarray(small.image)[::4, ::4], np.asarray(_image()))
    assert (small.title, rows[0][0].image.size) == ("a", (32, 24))
    [[same, _]] = enlarge(rows, 20)
    assert same.image.size == (32, 24)
