"""Runs that differ only in their seed as one: means with the interval over seeds, and paired differences.

A pair is two runs of one seed: the same order of the data and, where shapes agree, the same first weights. The interval
is Student's, over the runs of a group: it speaks of other seeds, and not of other questions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from os.path import commonprefix
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pgsclip.errors import RunError
from pgsclip.report.compare import Cost, Line, curve_cards, final_lines, with_cost
from pgsclip.report.page import document
from pgsclip.report.runs import ReportEntry
from pgsclip.results.suites import MAIN_METRIC
from pgsclip.statistics import student_mean

NOTE = (
    "A set's number is the mean of its metrics: accuracy, or recall at 1, 5 and 10 both ways. Means over seeds, ± half "
    "of Student's 95 % interval over seeds."
)
_MAIN = frozenset(MAIN_METRIC.values())
_COSTS = ("{:.1%}", "{:,.0f}", "{:.2f}", "{:.1f}")


class Group(NamedTuple):
    """The runs of one config."""

    name: str
    runs: dict[int, int]
    """Seed → index of its run."""


class Column(NamedTuple):
    """One number of every run, NaN where it is not known."""

    label: str
    values: Float[np.ndarray, " R"]


class Grid(NamedTuple):
    """A table of text; the first cell of a row is its name."""

    title: str
    head: list[str]
    rows: list[list[str]]


def groups_of(subjects: Sequence[ReportEntry]) -> list[Group]:
    """Runs with one config but for seed and folder, in the order given.

    Raises:
        RunError: a seed twice in a group, or a single group.
    """
    found: dict[str, dict[int, int]] = {}
    for index, one in enumerate(subjects):
        assert one.config is not None
        runs = found.setdefault(one.config.model_copy(update={"seed": 0, "out": None}).model_dump_json(), {})
        seed = one.config.seed
        if seed in runs:
            raise RunError(
                f"{subjects[runs[seed]].folder} and {one.folder} are one run: they have the same config and seed "
                f"{seed}. Leave one of them out, or train it with another --seed."
            )
        runs[seed] = index
    if len(found) == 1:
        raise RunError(
            f"All {len(subjects)} runs have one config but for their seed, so there is nothing to compare them with. "
            f"Give runs of another config too, or leave --over-seeds out."
        )
    return [Group(_common([subjects[index].name for index in runs.values()]), runs) for runs in found.values()]


def seed_tables(subjects: Sequence[ReportEntry], groups: Sequence[Group], costs: Sequence[Cost]) -> list[Grid]:
    """What the runs cost, their sets, the differences to the first group, and every metric."""
    lines = [line for line in final_lines(subjects) if line.metric in _MAIN or "recall@" in line.metric]
    sets = _sets(lines)
    metrics = [Column(f"{_short(line.dataset)} {line.metric}", _numbers(line.values)) for line in lines]
    labels = [column.label for column in sets]
    first = groups[0]
    return [
        _cost_table(subjects, groups, costs),
        Grid("Sets, %", ["", *labels], [[g.name, *(_cell(g, column) for column in sets)] for g in groups]),
        Grid(
            f"Difference to {first.name}, paired by seed",
            ["", *labels],
            [[g.name, *(_difference(g, first, column) for column in sets)] for g in groups[1:]],
        ),
        Grid(
            "Metrics, %",
            ["", *(group.name for group in groups)],
            [[column.label, *(_cell(group, column) for group in groups)] for column in metrics],
        ),
    ]


def _cost_table(subjects: Sequence[ReportEntry], groups: Sequence[Group], costs: Sequence[Cost]) -> Grid:
    """Means over seeds of the share of patches kept, samples, FLOPs and minutes up to the last log row."""
    spent = []
    for one, cost in zip(subjects, costs, strict=True):
        rows, before, kept = with_cost(one.training, cost), 0, 0.0
        for row in rows:
            kept += row["kept"] * (row["samples"] - before)
            before = row["samples"]
        last = rows[-1] if rows else dict.fromkeys(("samples", "flops", "seconds"), math.nan)
        spent.append((kept / (before or math.nan), last["samples"], last["flops"] / 1e12, last["seconds"] / 60))
    table = []
    for group in groups:
        means = np.mean([spent[index] for index in group.runs.values()], axis=0)
        cells = ["–" if math.isnan(mean) else form.format(mean) for mean, form in zip(means, _COSTS, strict=True)]
        table.append([group.name, str(len(group.runs)), *cells])
    return Grid("What a run cost", ["", "seeds", "patches kept", "samples", "TFLOPs", "minutes"], table)


def _sets(lines: Sequence[Line]) -> list[Column]:
    """Each set's mean over its metrics, and the mean over sets."""
    by_set: dict[tuple[str, str], list[Float[np.ndarray, " R"]]] = {}
    for line in lines:
        by_set.setdefault((line.family, line.dataset), []).append(_numbers(line.values))
    columns = [Column(_short(dataset), np.mean(values, axis=0)) for (_, dataset), values in by_set.items()]
    return [*columns, Column("mean", np.mean([column.values for column in columns], axis=0))] if columns else []


def _numbers(values: Sequence[float | None]) -> Float[np.ndarray, " R"]:
    return np.array([math.nan if value is None else value for value in values])


def _cell(group: Group, column: Column) -> str:
    return _text(column.values[list(group.runs.values())], "{:.1f}")


def _difference(group: Group, first: Group, column: Column) -> str:
    both = [seed for seed in group.runs if seed in first.runs]
    ours, theirs = ([one.runs[seed] for seed in both] for one in (group, first))
    return _text(column.values[ours] - column.values[theirs], "{:+.1f}")


def _text(values: Float[np.ndarray, " S"], form: str) -> str:
    """`31.2 ± 1.4`; a dash where nothing is known."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return "–"
    found = student_mean(known)
    spread = "" if math.isnan(found.high) else f" ± {found.half_width:.1f}"
    return form.format(found.value) + spread


def _short(dataset: str) -> str:
    """`clipart-retrieval` of `sets/retrieval/clipart-retrieval`."""
    return dataset.rpartition("/")[2]


def _common(names: Sequence[str]) -> str:
    """What the names of a group share: `pgs-0.5` of `pgs-0.5-seed0` and `pgs-0.5-seed1`."""
    shared = commonprefix(list(names))  # noqa: RUF071 - letters, not folders
    return re.sub(r"[-_. ]*seed[-_. ]*\d*$", "", shared).rstrip("-_. ") or names[0]


def seeds_page(
    subjects: Sequence[ReportEntry], groups: Sequence[Group], costs: Sequence[Cost], tables: list[Grid]
) -> str:
    """The tables, and the curves of the first run of each group."""
    title = f"pgsclip compare: {', '.join(group.name for group in groups)}"
    first = [next(iter(group.runs.values())) for group in groups]
    shown = [replace(subjects[index], name=group.name) for index, group in zip(first, groups, strict=True)]
    body = [f"<h1>{escape(title)}</h1>", *(_table(grid) for grid in tables), f'<p class="small">{escape(NOTE)}</p>']
    body += ["<h2>One seed of each</h2>", curve_cards(shown, [costs[index] for index in first])]
    return document(title, "".join(body))


def seeds_markdown(tables: Sequence[Grid]) -> str:
    """The tables, each under its title."""
    parts = []
    for grid in tables:
        lines = [f"**{grid.title}**", "", f"| {' | '.join(grid.head)} |", f"|---{'|---:' * (len(grid.head) - 1)}|"]
        parts.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in grid.rows)]))
    return "\n\n".join([*parts, NOTE]) + "\n"


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.head)
    rows = []
    for name, *cells in grid.rows:
        labelled = zip(grid.head[1:], cells, strict=True)
        data = "".join(f'<td data-label="{escape(label, quote=True)}">{escape(cell)}</td>' for label, cell in labelled)
        rows.append(f"<tr><th>{escape(name)}</th>{data}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>{escape(grid.title)}</h2><div class="wide">{table}</div>'
