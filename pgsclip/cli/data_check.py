"""`pgsclip data check`: damage, duplicates and leakage in training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.data_settings import Settings, read_data_settings
from pgsclip.cli.options import Jobs, JsonFile, Spec

FAULTY = 1
"""Exit code when faults were found; 2 means, for every command, that it could not do its work."""


def check(
    spec: Spec,
    eval_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of evaluation sets to check for leakage.")
    ] = None,
    ranks: Annotated[int, typer.Option(min=1, metavar="N", help="Training processes that will share the shards.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Loader workers per training process; training's own number if not given."
        ),
    ] = None,
    jobs: Jobs = None,
    settings: Settings = None,
    json: JsonFile = None,
) -> None:
    """Read all data once; report what is there, what is damaged and what appears twice.

    Exit code 0: the data is sound. Exit code 1: faults were found. A fault is a pair that cannot be used, an image of
    an evaluation set, or a loader worker without a shard. Duplicates are reported but do not fail the check.
    """
    from pgsclip.cli.figures import write_figures
    from pgsclip.cli.waiting import show_late_bar
    from pgsclip.data.check import check_data
    from pgsclip.data.check_report import figures, lines

    config = read_data_settings(settings, workers=workers)
    with show_late_bar("checking") as progress:
        found = check_data(spec, eval_root=eval_root, config=config, ranks=ranks, jobs=jobs, on_progress=progress)
    typer.echo("\n".join(lines(found)))
    if json is not None:
        write_figures(json, figures(found))
    raise typer.Exit(0 if found.sound else FAULTY)
