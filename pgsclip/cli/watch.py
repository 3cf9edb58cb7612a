"""`pgsclip watch`: a run's curves in the terminal, on any machine that sees its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Time between two updates.")] = 2.0,
) -> None:
    """Show loss, results, speed and remaining time of a run until it ends.

    The exit code is that of `pgsclip status`. Without a terminal, one line is printed for each row that the run writes.
    """
    from rich.console import Console

    from pgsclip.errors import PgsclipError
    from pgsclip.report.live_view import watch as watch_run

    state = watch_run(run, Console(), every)
    raise typer.Exit(PgsclipError.exit_code if state.is_gone else state.exit_code)
