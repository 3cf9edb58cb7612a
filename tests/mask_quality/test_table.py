from __future__ import annotations

from pgsclip.mask_quality.comparison import Row
from pgsclip.mask_quality.table import lines, lines_by_group
from pgsclip.statistics import Interval


def _row(name: str, ratio: str, recall: float, groups: tuple[str, ...] = ("a", "b")) -> Row:
    found = Interval(recall, recall - 0.02, recall + 0.04)
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    half = Interval(0.5, 0.5, 0.5)
    return Row(name, ratio, found, nothing, half, half, half, 0.125, 3.21, dict.fromkeys(groups, found))


def test_a_line_holds_means_half_widths_spread_and_cost() -> None:
    head, line = lines([_row("pgs", "0.5", 0.9)])
    assert head.split("  ")[0] == "masker"
    assert line.split() == [
        "pgs",
        "0.5",
        "0.900",
        "±",
        "0.030",
        "-",
        "0.500",
        "±",
        "0.000",
        "0.500",
        "±",
        "0.000",
        "0.500",
        "sd",
        "0.125",
        "3.2",
    ]
    assert head.index("object recall") == line.index("0.900")


def test_groups_are_columns_and_one_group_is_no_table() -> None:
    head, line = lines_by_group([_row("pgs", "0.5", 0.9)])
    assert head.split() == ["object", "recall", "of", "ratio", "a", "b"]
    assert line.split() == ["pgs", "0.5", "0.900", "±", "0.030", "0.900", "±", "0.030"]
    assert lines_by_group([_row("pgs", "0.5", 0.9, ("a",))]) == []
