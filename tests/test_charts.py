from __future__ import annotations

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from pgsclip.charts import (
    COLOURS,
    Measured,
    Series,
    _cut,
    _number,
    _ticks,
    draw_bars,
    draw_intervals,
    draw_lines,
    draw_radar,
)
from pgsclip.statistics import Interval


def parts(markup: str, tag: str) -> list[dict[str, str]]:
    return [dict(one.attrib) for one in ElementTree.fromstring(f"<x>{markup}</x>").iter() if one.tag == tag]


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_are_few_round_and_cover(low: float, width: float) -> None:
    found = _ticks(low, low + width)
    rounding = 1e-6 * (1 + abs(low) + width)
    assert found[0] <= low + rounding
    assert found[-1] >= low + width - rounding
    assert 2 <= len(found) <= 8


def test_curves_stay_inside_and_go_down_when_values_do() -> None:
    markup = draw_lines([Series("a <b>", [(0, 4.0), (10, 1.0)], "#123456")], "step", "loss")
    (path,) = [one["d"] for one in parts(markup, "path") if one.get("fill") == "none"]
    (x0, y0), (x1, y1) = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", path)]
    assert x0 < x1
    assert y0 < y1  # down on the screen
    assert all(0 <= v <= 400 for v in (x0, x1, y0, y1))
    assert "a &lt;b&gt;" in markup


def test_what_is_not_a_number_is_left_out() -> None:
    markup = draw_lines([Series("a", [(0, 4.0), (1, math.nan), (2, 1.0)], "#123456")], "step", "loss")
    assert "nan" not in markup
    assert draw_lines([Series("a", [(0, math.nan)], "#123456")], "step", "loss") == ""


def test_bars_are_as_long_as_their_values() -> None:
    found = parts(draw_bars([("a", 40.0, "#1"), ("b", 20.0, "#2")], "x"), "rect")
    assert float(found[0]["width"]) == pytest.approx(2 * float(found[1]["width"]), abs=0.1)
    assert draw_bars([], "x") == ""


def test_radar_needs_three_axes_and_reaches_the_rim_at_the_largest() -> None:
    assert draw_radar(["a", "b"], [("m", [1.0, 2.0], "#1")], "x") == ""
    markup = draw_radar(["a", "b", "c"], [("m", [10.0, 20.0, 30.0], "#1"), ("n", [5.0, 20.0, None], "#2")], "x")
    outlines = [one["d"] for one in parts(markup, "path") if one.get("stroke-width") == "2"]
    rim = [one["d"] for one in parts(markup, "path") if one.get("fill") == "none"][-1]
    assert outlines[0] == rim
    assert outlines[1] != rim
    assert ">a</text>" in markup
    assert ">30</text>" in markup


def test_numbers_are_short() -> None:
    assert [_number(v) for v in (12000.0, 0.25, 3e9, 2.5e15)] == ["12k", "0.25", "3G", "2.5P"]
    assert _cut("runs/very/long", 6) == "…/long"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_point_stands_as_high_as_its_share(share: float) -> None:
    first = Interval(share, share - 0.02, share + 0.04)
    second = Interval(0.3, 0.28, 0.34)
    points = [Measured("pgs", "0.5", first), Measured("other", "0.5", second), Measured("pgs", "0.7", second)]
    picture = np.asarray(draw_intervals(points, "recall"))
    drawn = (picture == ImageColor.getrgb(COLOURS[0])).all(axis=2)[:, 70:364]
    wide = np.flatnonzero(drawn.sum(axis=1) >= 10)  # rows of the dot, and the whisker's two ends
    assert abs(wide.mean() - (450 - share * 400)) < 12


def test_colours_are_told_apart() -> None:
    channels = [ImageColor.getrgb(colour) for colour in COLOURS]
    distances = [math.dist(one, other) for one, other in combinations(channels, 2)]
    assert min(distances) > 40
