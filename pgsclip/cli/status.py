"""`pgsclip status`: what became of a run, as a sentence and as an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]) -> None:
    """Say whether a run finished (exit code 0), stopped early and wants to go on (75), or neither (2).

    For scripts around torchrun and other launchers, which do not pass on the exit code of `pgsclip train`.
    """
    from pgsclip.results.status import read_state

    state = read_state(run)
    typer.echo(f"{run}: {state.describe()}")
    raise typer.Exit(state.exit_code)
