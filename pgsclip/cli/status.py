"""`pgsclip status`: the state of a run, as a sentence and as an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]) -> None:
    """Say whether a run finished (exit code 0), stopped early (75), or failed or still runs (2).

    Scripts need it under torchrun and other launchers, which do not pass on the exit code of `pgsclip train`.
    """
    from pgsclip.results.run_status import read_status

    state = read_status(run)
    typer.echo(f"{run}: {state.describe()}")
    raise typer.Exit(state.exit_code)
