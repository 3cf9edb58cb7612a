from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.report.compare import build_compare_page, collect_final_lines
from pgsclip.report.cost import build_cost
from pgsclip.report.curves import add_flops
from pgsclip.report.runs import read_entries

Run = Callable[..., Path]


def test_rows_carry_what_was_spent_up_to_them(run: Run) -> None:
    (found,) = read_entries(run("a"))
    assert [row["flops"] for row in add_flops(found.training, lambda kept: 10 * kept)] == [500, 1000, 1500]


def test_the_table_has_the_paired_difference_to_the_first(run: Run) -> None:
    subjects = read_entries(run("a", right=40)) + read_entries(run("b", right=55))
    lines = collect_final_lines(subjects)
    first = lines[0]
    assert (first.dataset, first.values) == ("clipart", [pytest.approx(40), pytest.approx(55)])
    assert first.differences[0] is None
    assert first.differences[1] is not None
    value, low, high = first.differences[1]
    assert value == pytest.approx(15)
    assert 5 < low < 15 < high < 25
    assert (lines[1].family, lines[1].dataset, lines[1].values) == ("training", "generated", pytest.approx([30, 30]))


def test_the_page_has_curves_over_samples_arithmetic_and_time(run: Run) -> None:
    subjects = read_entries(run("a")) + read_entries(run("b"))
    page = build_compare_page(subjects, [lambda kept: 1.0] * 2, collect_final_lines(subjects))
    for words in ("loss over samples", "loss over FLOPs", "loss over seconds of training", "generated/acc1"):
        assert words in page
    assert page.count("<svg") == 6


def test_fewer_patches_cost_less(run: Run) -> None:
    config = read_entries(run("a"))[0].config
    cost = build_cost(config)
    assert 0 < cost(0.5) < cost(1.0)
    assert build_cost(None)(0.5) == 0
