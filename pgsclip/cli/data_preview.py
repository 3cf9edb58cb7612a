"""`pgsclip data preview`: what a data set looks like, and what maskers make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import masker_names
from pgsclip.cli.data_settings import Settings, read_data_settings


def preview(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Shards, a table or a folder, as for `train --data`.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("preview.png"),
    masker: Annotated[
        list[str] | None,
        typer.Option(help="Also what this masker keeps; repeatable, as for `viz-mask`.", autocompletion=masker_names),
    ] = None,
    ratio: Annotated[
        list[str] | None,
        typer.Option(metavar="R|LO:HI", help="One for all maskers, or one for each; 0.5 if not given."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Pairs on the sheet.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Which pairs, and all chance in the masks.")] = 0,
    settings: Settings = None,
) -> None:
    """Draw a contact sheet: pairs at random from the first 2,000, with captions and, if wanted, masks."""
    from rich.console import Console

    from pgsclip.cli.viz_mask import columns_of
    from pgsclip.errors import ConfigError
    from pgsclip.viz.contact_sheet import draw_contact_sheet
    from pgsclip.viz.save import save_picture
    from pgsclip.viz.sheet import compose
    from pgsclip.viz.terminal_image import print_image

    if ratio and not masker:
        raise ConfigError("--ratio is the share that a masker hides; name one with --masker, or leave --ratio out.")
    config = read_data_settings(settings)
    columns = columns_of(masker, ratio) if masker else []
    with Console(stderr=True).status("drawing"):
        across = max(1, 6 // (1 + len(columns)))
        sheet = compose(draw_contact_sheet(spec, columns, count=count, across=across, seed=seed, config=config))
        save_picture(sheet, out)
    print_image(sheet, Console())
    typer.echo(f"{out}  ({sheet.width} x {sheet.height} pixels)")
