from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pgsclip.report.curves import add_flops, draw_training
from pgsclip.report.runs import read_entries

Run = Callable[..., Path]


def test_rows_carry_what_was_spent_up_to_them(run: Run) -> None:
    (found,) = read_entries(run("a"))
    assert [row["flops"] for row in add_flops(found.training, lambda kept: 10 * kept)] == [500, 1000, 1500]


def test_what_was_never_a_run_has_no_curves(run: Run) -> None:
    (entry,) = read_entries(run("a"))
    assert "samples per second over step" in draw_training([entry])
    assert draw_training([entry][:0]) == ""
