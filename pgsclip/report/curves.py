"""Curves of runs: what was logged and evaluated while they trained, over steps, samples, FLOPs and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pgsclip.charts import COLOURS, Series, draw_lines
from pgsclip.report.html import wrap_cards
from pgsclip.report.runs import ReportEntry, Row

Cost = Callable[[float], float]
"""Share of patches kept → FLOPs of one training sample, forward and backward."""
_OF_PAPER = 6
"""Colours that the paper's methods have; ours come after them."""


def choose_colour(index: int) -> str:
    """Choose the colour of one of our models."""
    return COLOURS[_OF_PAPER + index % (len(COLOURS) - _OF_PAPER)]


def draw_training(entries: Sequence[ReportEntry]) -> str:
    """Draw loss, speed, patches kept and evaluations over steps, as cards; nothing when no entry is a run."""
    if not any(one.training for one in entries):
        return ""

    def collect(key: str, scale: float = 1.0) -> list[Series]:
        return [
            Series(one.name, _collect_points(one.training, key, "step", scale), choose_colour(index))
            for index, one in enumerate(entries)
        ]

    charts = [
        draw_lines(collect("loss"), "step", "loss"),
        draw_lines(collect("samples_per_s"), "step", "samples per second"),
        draw_lines(collect("patches_kept", 100.0), "step", "patches kept, %"),
    ]
    for key in _list_evaluations(entries):
        series = [_collect_evaluation(one, one.evaluations, key, "step", i) for i, one in enumerate(entries)]
        charts.append(draw_lines(series, "step", f"{key}, %"))
    return wrap_cards(charts, "Training")


def draw_over_cost(entries: Sequence[ReportEntry], costs: Sequence[Cost]) -> str:
    """Draw loss and evaluations over samples, FLOPs and time, as cards.

    Args:
        costs: of a training sample of each entry.
    """
    training = [add_flops(one.training, cost) for one, cost in zip(entries, costs, strict=True)]
    axes = [("samples", "samples"), ("flops", "FLOPs"), ("seconds", "seconds of training")]
    charts = []
    for x, label in axes:
        series = [
            Series(one.name, _collect_points(rows, "loss", x), choose_colour(i))
            for i, (one, rows) in enumerate(zip(entries, training, strict=True))
        ]
        charts.append(draw_lines(series, label, "loss"))
    for key in _list_evaluations(entries):
        for x, label in axes:
            series = [
                _collect_evaluation(one, _place_evaluations(one, rows, x), key, x, i)
                for i, (one, rows) in enumerate(zip(entries, training, strict=True))
            ]
            charts.append(draw_lines(series, label, f"{key}, %"))
    return wrap_cards(charts)


def add_flops(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """Add to each log row the FLOPs of training up to it."""
    flops, before = 0.0, 0
    counted = []
    for row in rows:
        flops += (row["samples"] - before) * cost(row["patches_kept"])
        before = row["samples"]
        counted.append({**row, "flops": flops})
    return counted


def _list_evaluations(entries: Sequence[ReportEntry]) -> list[str]:
    """The main metrics that were taken at least twice while runs went on, without `eval/`."""
    counts: dict[str, int] = {}
    for key in (key for one in entries for row in one.evaluations for key in row):
        if key.startswith("eval/") and key.endswith(("acc1", "recall@1", "text_acc")):
            counts[key] = counts.get(key, 0) + 1
    return [key.removeprefix("eval/") for key, count in counts.items() if count > 1]


def _collect_evaluation(entry: ReportEntry, rows: Sequence[Row], key: str, x: str, index: int) -> Series:
    return Series(entry.name, _collect_points(rows, f"eval/{key}", x, 100.0), choose_colour(index))


def _collect_points(rows: Sequence[Row], key: str, x: str, scale: float = 1.0) -> list[tuple[float, float]]:
    return [(float(row[x]), scale * row[key]) for row in rows if key in row and x in row]


def _place_evaluations(entry: ReportEntry, rows: Sequence[Row], x: str) -> list[Row]:
    """The evaluations with the samples, FLOPs or seconds of the log row at or before their step."""
    placed = []
    for evaluation in entry.evaluations:
        before = [row for row in rows if row["step"] <= evaluation["step"]]
        if before:
            placed.append({**evaluation, x: before[-1][x]})
    return placed
