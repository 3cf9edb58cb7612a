"""`pgsclip watch`: the curves of a run while it goes on, read from its folder by another process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from pgsclip.config.phases import plan_phases
from pgsclip.config.resolve import check
from pgsclip.errors import ConfigError
from pgsclip.report.braille import draw_braille
from pgsclip.report.live_line import format_clock, format_line
from pgsclip.report.runs import Row, read_rows
from pgsclip.results.run_status import RUNNING, RunStatus, read_status

_MOST_LINES, _FEWEST_LINES = 8, 2
"""Height of a curve."""
_MOST_CURVES = 4


class RunSnapshot(NamedTuple):
    """A run as its folder shows it now."""

    name: str
    state: RunStatus
    rows: list[Row]
    total: int
    """Steps of the whole run; 0 while they are not known."""

    @property
    def ended(self) -> bool:
        return self.state.state != RUNNING or self.state.is_gone


def watch(run: Path, console: Console, every: float, sleep: Callable[[float], None] = time.sleep) -> RunStatus:
    """Show a run until it ends: curves in a terminal, elsewhere a line for each new row.

    Args:
        every: seconds between two readings of the folder.

    Returns:
        The last state that the run wrote.

    Raises:
        RunError: no run has begun in this folder.
    """
    snapshot = read_snapshot(run)
    if not console.is_terminal:
        return _print_lines(run, snapshot, console, every, sleep)
    with Live(draw_screen(snapshot, console.size), console=console, auto_refresh=False) as live:
        while not snapshot.ended:
            sleep(every)
            snapshot = read_snapshot(run)
            live.update(draw_screen(snapshot, console.size), refresh=True)
    return snapshot.state


def read_snapshot(run: Path) -> RunSnapshot:
    """Read the folder of a run once.

    Raises:
        RunError: no run has begun there.
    """
    state = read_status(run)
    rows = [row for row in read_rows(run / "metrics.jsonl") if "step" in row]
    return RunSnapshot(run.resolve().name, state, rows, _count_steps(run, rows))


def draw_screen(snapshot: RunSnapshot, size: ConsoleDimensions) -> RenderableType:
    """Draw what fits a terminal of so many characters and lines: curves, the last log row, the state."""
    points = {
        title: [(float(row["step"]), float(row[key])) for row in snapshot.rows if _is_number(row.get(key))]
        for title, key in _choose_curves(snapshot.rows)
    }
    lines = (size.height - 4) // max(1, len(points)) - 2  # a frame takes two, the status up to three
    lines = min(_MOST_LINES, max(_FEWEST_LINES, lines))
    curves = [_draw_curve(title, one, size.width, lines) for title, one in points.items()]
    status = f"{snapshot.name}: {_describe_state(snapshot)}"
    return Group(*curves, Text(_write_line(snapshot) or "no row is written yet"), Text(status))


def _choose_curves(rows: list[Row]) -> list[tuple[str, str]]:
    """Title and key of loss, of what was evaluated (else of the accuracy within a batch), and of speed."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    results = [key for key in keys if key.startswith("eval/") and key.rpartition("/")[2].partition("_")[0] != "mean"]
    best = [key for key in results if key.endswith(("recall@5", "/acc1"))] or results
    middle = best[: _MOST_CURVES - 2] or ["acc1"]
    wanted = [("loss", "loss"), *((key.removeprefix("eval/"), key) for key in middle), ("samples/s", "samples_per_s")]
    return [(title, key) for title, key in wanted if key in keys]


def _draw_curve(title: str, points: list[tuple[float, float]], width: int, height: int) -> RenderableType:
    values = [y for _, y in points if math.isfinite(y)]
    if len(values) < 2:
        return Text(f"  {title}  {points[-1][1]:.4g}")
    span = f"{min(values):.4g} to {max(values):.4g}, now {points[-1][1]:.4g}"
    lines = draw_braille(points, max(10, width - 4), height)
    return Panel(Text("\n".join(lines)), title=f"{title}  {span}", title_align="left")


def _print_lines(
    run: Path, snapshot: RunSnapshot, console: Console, every: float, sleep: Callable[[float], None]
) -> RunStatus:
    told = 0
    while True:
        for number in range(told, len(snapshot.rows)):
            line = _write_line(snapshot._replace(rows=snapshot.rows[: number + 1]), newest=True)
            if line:
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        told = len(snapshot.rows)  # also when there are fewer: a resumed run takes back the rows that it does again
        if snapshot.ended:
            console.print(
                f"{snapshot.name}: {_describe_state(snapshot)}", highlight=False, markup=False, soft_wrap=True
            )
            return snapshot.state
        sleep(every)
        snapshot = read_snapshot(run)


def _write_line(snapshot: RunSnapshot, *, newest: bool = False) -> str:
    """The last log row as training itself shows it; with `newest` the last row of any kind."""
    if not snapshot.rows:
        return ""
    last = snapshot.rows[-1]
    if newest and "loss" not in last:
        return f"step {last['step']}  " + "  ".join(
            f"{key} {value:.4f}" for key, value in last.items() if key != "step" and _is_number(value)
        )
    logged = next((row for row in reversed(snapshot.rows) if "loss" in row), None)
    if logged is None:
        return ""
    try:
        per_step = float(logged["samples"]) / float(logged["step"])
        left = (snapshot.total - logged["step"]) * per_step / max(float(logged["samples_per_s"]), 1e-9)
        line = format_line(logged, snapshot.total, max(0.0, left))
    except (KeyError, TypeError, ZeroDivisionError):  # a row of another version
        return f"step {logged['step']}  loss {logged['loss']}"
    return line if snapshot.total else line.replace("/0 ", " ", 1).removesuffix(f"  {format_clock(0.0)} left")


def _describe_state(snapshot: RunSnapshot) -> str:
    if snapshot.state.state == RUNNING and snapshot.state.is_gone:
        return "its process is gone without a word, so it was killed; `--resume` goes on from its last checkpoint."
    return snapshot.state.describe()


def _count_steps(run: Path, rows: list[Row]) -> int:
    """Steps of the whole run, by its config; where that counts in epochs, by how far the rows say the run is."""
    try:
        config = check(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) or {})
        known: Any = next((row for row in reversed(rows) if row.get("epoch")), {"samples": 0, "epoch": 1.0})
        return plan_phases(config, round(known["samples"] / known["epoch"]))[-1].end if rows else 0
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, ConfigError):
        return 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
