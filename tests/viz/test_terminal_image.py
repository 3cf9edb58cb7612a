from __future__ import annotations

from io import StringIO

import pytest
from PIL import Image
from rich.console import Console

from pgsclip.viz.terminal_image import print_image


def _console(colours: str | None, width: int = 21) -> Console:
    return Console(file=StringIO(), force_terminal=colours is not None, color_system=colours, width=width)  # type: ignore[arg-type]


def _written(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("colours", ["256", "truecolor"])
def test_a_terminal_with_colours_shows_two_pixels_to_a_character(colours: str) -> None:
    console = _console(colours)
    assert print_image(Image.new("RGB", (40, 20), (200, 10, 10)), console)
    lines = _written(console).splitlines()
    assert len(lines) == 5
    assert all(line.count("▀") == 20 for line in lines)


def test_the_colours_are_those_of_the_image() -> None:
    image = Image.new("RGB", (2, 2), (1, 2, 3))
    image.putpixel((0, 1), (4, 5, 6))
    console = _console("truecolor")
    assert print_image(image, console)
    assert "\x1b[38;2;1;2;3;48;2;4;5;6m▀" in _written(console)


@pytest.mark.parametrize("colours", [None, "standard"])
def test_other_places_get_no_picture(colours: str | None) -> None:
    console = _console(colours)
    assert not print_image(Image.new("RGB", (40, 20)), console)
    assert _written(console) == ""


def test_a_wide_sheet_still_shows_two_rows() -> None:
    console = _console("truecolor", width=11)
    assert print_image(Image.new("RGB", (4000, 10)), console)
    assert _written(console).count("▀") == 10
