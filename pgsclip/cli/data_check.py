"""`pgsclip data check`: whether data is fit to be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.data_settings import Settings, read_data_settings

FAULTY = 1
"""Exit code when faults were found; 2 is what all commands give when they could not do their work."""


def check(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Shards, a table or a folder, as for `train --data`.")],
    eval_root: Annotated[
        Path | None, typer.Option(help="Folder of evaluation sets; no training image should be in them.")
    ] = None,
    ranks: Annotated[int, typer.Option(min=1, help="Training processes that will share the shards.")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Loader workers of each; what training takes by itself if not given.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Shards read at once; one for each core if not given.")
    ] = None,
    settings: Settings = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything that was found there.")] = None,
) -> None:
    """Read everything once and say what is there, what is damaged, what comes twice.

    Ends with 0 when the data is sound, and with 1 when faults were found: something that cannot be used, an image that
    is evaluated on, or fewer shards than loader workers. Duplicates are told and are no fault.
    """
    from pgsclip.cli.figures import write_figures
    from pgsclip.cli.waiting import late_bar
    from pgsclip.data.check import check_data
    from pgsclip.data.check_report import figures, lines

    config = read_data_settings(settings, workers=workers)
    with late_bar("checking") as progress:
        found = check_data(spec, eval_root=eval_root, config=config, ranks=ranks, jobs=jobs, on_progress=progress)
    typer.echo("\n".join(lines(found)))
    if json is not None:
        write_figures(json, figures(found))
    raise typer.Exit(0 if found.sound else FAULTY)
