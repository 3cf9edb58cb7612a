"""A progress bar that appears only when something takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE = 2.0
"""Seconds before a bar appears."""


@contextmanager
def show_late_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with (done, total). After two seconds a bar is shown, if stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what)

    def tell(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        if time.monotonic() - began > _PATIENCE and not bar.live.is_started and bar.console.is_terminal:
            bar.start()

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
