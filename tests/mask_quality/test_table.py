from __future__ import annotations

from pgsclip.mask_quality.comparison import MaskerRow
from pgsclip.mask_quality.table import write_lines, write_lines_by_group
from pgsclip.statistics import Interval


def _row(name: str, ratio: str, recall: float, groups: tuple[str, ...] = ("a", "b")) -> MaskerRow:
    found = Interval(recall, recall - 0.02, recall + 0.04)
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    half = Interval(0.5, 0.5, 0.5)
    return MaskerRow(name, ratio, found, nothing, half, half, half, 0.125, 3.21, dict.fromkeys(groups, found))


def test_a_line_holds_means_half_widths_spread_and_cost() -> None:
    head, line = write_lines([_row("pgs", "0.5", 0.9)])
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
    head, line = write_lines_by_group([_row("pgs", "0.5", 0.9)])
    assert head.split() == ["object", "recall", "of", "ratio", "a", "b"]
    assert line.split() == ["pgs", "0.5", "0.900", "±", "0.030", "0.900", "±", "0.030"]
    assert write_lines_by_group([_row("pgs", "0.5", 0.9, ("a",))]) == []
