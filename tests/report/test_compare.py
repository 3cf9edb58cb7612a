from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.report.compare import build_compare_page, collect_final_lines
from pgsclip.report.runs import read_entries

Run = Callable[..., Path]


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
