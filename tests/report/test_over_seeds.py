from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import stats

from pgsclip.errors import RunError
from pgsclip.report.over_seeds import (
    TextTable,
    build_seed_tables,
    build_seeds_page,
    group_by_config,
    write_seeds_markdown,
)
from pgsclip.report.runs import ReportEntry, read_entries

Run = Callable[..., Path]
RIGHT = {"none": (40, 44, 45), "pgs": (45, 47, 52)}
"""Right answers of a hundred, by seed."""


@pytest.fixture
def subjects(run: Run) -> list[ReportEntry]:
    return [
        read_entries(run(f"{masker}-0.5-seed{seed}", masker=masker, right=right, seed=seed))[0]
        for masker, rights in RIGHT.items()
        for seed, right in enumerate(rights)
    ]


def test_runs_that_differ_only_in_their_seed_are_one_group(subjects: list[ReportEntry]) -> None:
    mixed = [subjects[i] for i in (0, 3, 1, 4)]
    assert group_by_config(mixed) == [("none-0.5", {0: 0, 1: 2}), ("pgs-0.5", {0: 1, 1: 3})]
    alone = [subjects[i] for i in (2, 5)]
    assert [group.name for group in group_by_config(alone)] == ["none-0.5", "pgs-0.5"]


def test_a_seed_twice_and_a_single_group_are_sentences(subjects: list[ReportEntry]) -> None:
    with pytest.raises(RunError, match=r"none-0.5-seed0 and .*none-0.5-seed0 are one run: .* seed 0\. Leave"):
        group_by_config([subjects[0], subjects[3], subjects[0]])
    with pytest.raises(RunError, match=r"All 3 runs have one config but for their seed.*leave --over-seeds out"):
        group_by_config(subjects[:3])


def test_means_and_paired_differences(subjects: list[ReportEntry]) -> None:
    groups = group_by_config(subjects)
    cost, sets, difference, metrics = build_seed_tables(subjects, groups, [lambda kept: 2e12 * kept] * len(subjects))
    assert cost.head == ["", "seeds", "patches kept", "samples", "TFLOPs", "minutes"]
    assert cost.rows[1] == ["pgs-0.5", "3", "50.0%", "300", "300.00", "0.1"]
    assert sets.head == ["", "clipart", "generated", "mean"]
    half = stats.sem(RIGHT["none"]) * stats.t.ppf(0.975, 2)
    assert sets.rows[0] == ["none-0.5", f"43.0 ± {half:.1f}", "30.0 ± 0.0", f"36.5 ± {half / 2:.1f}"]
    half = stats.sem([5, 3, 7]) * stats.t.ppf(0.975, 2)
    assert difference.title == "Difference to none-0.5, paired by seed"
    assert difference.rows == [["pgs-0.5", f"+5.0 ± {half:.1f}", "+0.0 ± 0.0", f"+2.5 ± {half / 2:.1f}"]]
    assert metrics.head == ["", "none-0.5", "pgs-0.5"]
    assert [row[0] for row in metrics.rows] == ["clipart acc1", "generated acc1"]


def test_differences_take_the_seeds_that_both_have(subjects: list[ReportEntry]) -> None:
    some = [subjects[i] for i in (0, 1, 5, 4)]  # seeds 0, 1 and 2, 1
    tables = build_seed_tables(some, group_by_config(some), [lambda kept: 0.0] * 4)
    assert tables[2].rows[0][:2] == ["pgs-0.5", "+3.0"]
    apart = [subjects[i] for i in (0, 5)]
    tables = build_seed_tables(apart, group_by_config(apart), [lambda kept: 0.0] * 2)
    assert tables[2].rows[0][1:] == ["–", "–", "–"]
    assert tables[1].rows[0][1:] == ["40.0", "30.0", "35.0"]


def test_what_a_run_has_not_logged_is_a_dash(subjects: list[ReportEntry]) -> None:
    bare = [ReportEntry(one.name, one.folder, one.results, [], config=one.config) for one in (subjects[0], subjects[3])]
    table = build_seed_tables(bare, group_by_config(bare), [lambda kept: 0.0] * 2)[0]
    assert table.rows[0] == ["none-0.5", "1", "–", "–", "–", "–"]


GRID = TextTable("Sets, %", ["", "a<b", "mean"], [["pgs-0.5", "31.2 ± 1.4", "–"]])


def test_tables_as_markdown() -> None:
    lines = write_seeds_markdown([GRID, GRID]).splitlines()
    assert lines[:5] == ["**Sets, %**", "", "|  | a<b | mean |", "|---|---:|---:|", "| pgs-0.5 | 31.2 ± 1.4 | – |"]
    assert lines[6:8] == ["**Sets, %**", ""]
    assert lines[-1].endswith("Student's 95 % interval over seeds.")


def test_the_page_has_the_tables_and_the_curves_of_one_run_of_each(run: Callable[..., Path]) -> None:
    subjects = [
        read_entries(run(f"{masker}-seed{seed}", masker=masker, seed=seed))[0]
        for masker in ("random", "pgs")
        for seed in (0, 1)
    ]
    page = build_seeds_page(subjects, group_by_config(subjects), [lambda kept: 1.0] * 4, [GRID])
    assert "<h1>pgsclip compare: random, pgs</h1>" in page
    assert '<td data-label="a&lt;b">31.2 ± 1.4</td>' in page
    assert page.count("<svg") == 6
    assert "random-seed" not in page
