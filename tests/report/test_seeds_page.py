from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pgsclip.report.runs import open_subject
from pgsclip.report.seeds import Grid, groups_of
from pgsclip.report.seeds_page import seeds_markdown, seeds_page

GRID = Grid("Sets, %", ["", "a<b", "mean"], [["pgs-0.5", "31.2 ± 1.4", "–"]])


def test_tables_as_markdown() -> None:
    lines = seeds_markdown([GRID, GRID]).splitlines()
    assert lines[:5] == ["**Sets, %**", "", "|  | a<b | mean |", "|---|---:|---:|", "| pgs-0.5 | 31.2 ± 1.4 | – |"]
    assert lines[6:8] == ["**Sets, %**", ""]
    assert lines[-1].endswith("Student's 95 % interval over seeds.")


def test_the_page_has_the_tables_and_the_curves_of_one_run_of_each(run: Callable[..., Path]) -> None:
    subjects = [
        open_subject(run(f"{masker}-seed{seed}", masker=masker, seed=seed))[0]
        for masker in ("random", "pgs")
        for seed in (0, 1)
    ]
    page = seeds_page(subjects, groups_of(subjects), [lambda kept: 1.0] * 4, [GRID])
    assert "<h1>pgsclip compare: random, pgs</h1>" in page
    assert '<td data-label="a&lt;b">31.2 ± 1.4</td>' in page
    assert page.count("<svg") == 6
    assert "random-seed" not in page
