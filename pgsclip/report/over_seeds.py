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
from pgsclip.report.compare import FinalLine, collect_final_lines
from pgsclip.report.curves import Cost, add_flops, draw_over_cost
from pgsclip.report.html import wrap_page, write_note
from pgsclip.report.runs import ReportEntry
from pgsclip.results.suites import MAIN_METRIC
from pgsclip.statistics import student_mean

NOTE = (
    "A set's number is the mean of its metrics: accuracy, or recall at 1, 5 and 10 both ways. Means over seeds, ± half "
    "of Student's 95 % interval over seeds."
)
_MAIN = frozenset(MAIN_METRIC.values())
_COST_FORMS = ("{:.1%}", "{:,.0f}", "{:.2f}", "{:.1f}")


class SeedGroup(NamedTuple):
    """The runs of one config."""

    name: str
    runs: dict[int, int]
    """Seed → index of its run."""


class RunNumbers(NamedTuple):
    """One number of every run, NaN where it is not known."""

    label: str
    values: Float[np.ndarray, " R"]


class TextTable(NamedTuple):
    """A table of text; the first cell of a row is its name."""

    title: str
    head: list[str]
    rows: list[list[str]]


def group_by_config(entries: Sequence[ReportEntry]) -> list[SeedGroup]:
    """Group runs with one config but for seed and folder, in the order given.

    Raises:
        RunError: a seed twice in a group, or a single group.
    """
    groups: dict[str, dict[int, int]] = {}
    for index, one in enumerate(entries):
        assert one.config is not None
        runs = groups.setdefault(one.config.model_copy(update={"seed": 0, "out": None}).model_dump_json(), {})
        seed = one.config.seed
        if seed in runs:
            raise RunError(
                f"{entries[runs[seed]].folder} and {one.folder} are one run: they have the same config and seed "
                f"{seed}. Leave one of them out, or train it with another --seed."
            )
        runs[seed] = index
    if len(groups) == 1:
        raise RunError(
            f"All {len(entries)} runs have one config but for their seed, so there is nothing to compare them with. "
            f"Give runs of another config too, or leave --over-seeds out."
        )
    return [SeedGroup(_find_common_name([entries[i].name for i in runs.values()]), runs) for runs in groups.values()]


def build_seed_tables(
    entries: Sequence[ReportEntry], groups: Sequence[SeedGroup], costs: Sequence[Cost]
) -> list[TextTable]:
    """Build the tables of what the runs cost, of sets, of differences to the first group, and of every metric."""
    lines = [line for line in collect_final_lines(entries) if line.metric in _MAIN or "recall@" in line.metric]
    sets = _average_by_set(lines)
    metrics = [RunNumbers(f"{_shorten(line.dataset)} {line.metric}", _to_numbers(line.values)) for line in lines]
    labels = [numbers.label for numbers in sets]
    first = groups[0]
    return [
        _build_cost_table(entries, groups, costs),
        TextTable("Sets, %", ["", *labels], [[g.name, *(_show_mean(g, numbers) for numbers in sets)] for g in groups]),
        TextTable(
            f"Difference to {first.name}, paired by seed",
            ["", *labels],
            [[g.name, *(_show_difference(g, first, numbers) for numbers in sets)] for g in groups[1:]],
        ),
        TextTable(
            "Metrics, %",
            ["", *(group.name for group in groups)],
            [[numbers.label, *(_show_mean(group, numbers) for group in groups)] for numbers in metrics],
        ),
    ]


def build_seeds_page(
    entries: Sequence[ReportEntry], groups: Sequence[SeedGroup], costs: Sequence[Cost], tables: Sequence[TextTable]
) -> str:
    """Build a page of the tables, and of the curves of the first run of each group."""
    title = f"pgsclip compare: {', '.join(group.name for group in groups)}"
    first = [next(iter(group.runs.values())) for group in groups]
    shown = [replace(entries[index], name=group.name) for index, group in zip(first, groups, strict=True)]
    body = [f"<h1>{escape(title)}</h1>", *(_show_table(table) for table in tables), write_note(NOTE)]
    body += ["<h2>One seed of each</h2>", draw_over_cost(shown, [costs[index] for index in first])]
    return wrap_page(title, "".join(body))


def write_seeds_markdown(tables: Sequence[TextTable]) -> str:
    """Write the tables as Markdown, each under its title."""
    parts = []
    for table in tables:
        lines = [f"**{table.title}**", "", f"| {' | '.join(table.head)} |", f"|---{'|---:' * (len(table.head) - 1)}|"]
        parts.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in table.rows)]))
    return "\n\n".join([*parts, NOTE]) + "\n"


def _build_cost_table(entries: Sequence[ReportEntry], groups: Sequence[SeedGroup], costs: Sequence[Cost]) -> TextTable:
    """Means over seeds of the share of patches kept, samples, FLOPs and minutes up to the last log row."""
    spent = []
    for one, cost in zip(entries, costs, strict=True):
        rows, before, kept = add_flops(one.training, cost), 0, 0.0
        for row in rows:
            kept += row["patches_kept"] * (row["samples"] - before)
            before = row["samples"]
        last = rows[-1] if rows else dict.fromkeys(("samples", "flops", "seconds"), math.nan)
        spent.append((kept / (before or math.nan), last["samples"], last["flops"] / 1e12, last["seconds"] / 60))
    table = []
    for group in groups:
        means = np.mean([spent[index] for index in group.runs.values()], axis=0)
        cells = ["–" if math.isnan(mean) else form.format(mean) for mean, form in zip(means, _COST_FORMS, strict=True)]
        table.append([group.name, str(len(group.runs)), *cells])
    return TextTable("What a run cost", ["", "seeds", "patches kept", "samples", "TFLOPs", "minutes"], table)


def _average_by_set(lines: Sequence[FinalLine]) -> list[RunNumbers]:
    """Each set's mean over its metrics, and the mean over sets."""
    by_set: dict[tuple[str, str], list[Float[np.ndarray, " R"]]] = {}
    for line in lines:
        by_set.setdefault((line.family, line.dataset), []).append(_to_numbers(line.values))
    sets = [RunNumbers(_shorten(dataset), np.mean(values, axis=0)) for (_, dataset), values in by_set.items()]
    return [*sets, RunNumbers("mean", np.mean([numbers.values for numbers in sets], axis=0))] if sets else []


def _to_numbers(values: Sequence[float | None]) -> Float[np.ndarray, " R"]:
    return np.array([math.nan if value is None else value for value in values])


def _show_mean(group: SeedGroup, numbers: RunNumbers) -> str:
    return _show_interval(numbers.values[list(group.runs.values())], "{:.1f}")


def _show_difference(group: SeedGroup, first: SeedGroup, numbers: RunNumbers) -> str:
    both = [seed for seed in group.runs if seed in first.runs]
    ours, theirs = ([one.runs[seed] for seed in both] for one in (group, first))
    return _show_interval(numbers.values[ours] - numbers.values[theirs], "{:+.1f}")


def _show_interval(values: Float[np.ndarray, " S"], form: str) -> str:
    """`31.2 ± 1.4`; a dash where nothing is known."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return "–"
    mean = student_mean(known)
    return form.format(mean.value) + ("" if math.isnan(mean.high) else f" ± {mean.half_width:.1f}")


def _shorten(dataset: str) -> str:
    """`clipart-retrieval` of `sets/retrieval/clipart-retrieval`."""
    return dataset.rpartition("/")[2]


def _find_common_name(names: Sequence[str]) -> str:
    """Find what the names of a group share: `pgs-0.5` of `pgs-0.5-seed0` and `pgs-0.5-seed1`."""
    shared = commonprefix(list(names))  # noqa: RUF071 - letters, not folders
    return re.sub(r"[-_. ]*seed[-_. ]*\d*$", "", shared).rstrip("-_. ") or names[0]


def _show_table(table: TextTable) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = []
    for name, *cells in table.rows:
        labelled = zip(table.head[1:], cells, strict=True)
        data = "".join(f'<td data-label="{escape(label, quote=True)}">{escape(cell)}</td>' for label, cell in labelled)
        rows.append(f"<tr><th>{escape(name)}</th>{data}</tr>")
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>{escape(table.title)}</h2><div class="wide">{body}</div>'
