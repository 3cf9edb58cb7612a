"""`pgsclip data preview`: a contact sheet of pairs, with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import masker_names
from pgsclip.cli.data_settings import Settings, read_data_settings
from pgsclip.cli.options import Spec


def preview(
    spec: Spec,
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG to write.")] = Path("preview.png"),
    masker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Masker whose choice is drawn beside each image; repeatable, as for `viz-mask`.",
            autocompletion=masker_names,
        ),
    ] = None,
    ratio: Annotated[
        list[str] | None,
        typer.Option(metavar="R|LO:HI", help="Ratio for all maskers, or one for each in turn; 0.5 if not given."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Pairs on the sheet.")] = 24,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the choice of pairs and of the masks.")] = 0,
    settings: Settings = None,
) -> None:
    """Draw a contact sheet of random pairs from the first 2,000, with their captions and, with --masker, masks."""
    from rich.console import Console

    from pgsclip.cli.mask_columns import pair_maskers
    from pgsclip.errors import ConfigError
    from pgsclip.viz.contact_sheet import draw_contact_sheet
    from pgsclip.viz.save import save_picture
    from pgsclip.viz.sheet import compose
    from pgsclip.viz.terminal_image import print_image

    if ratio and not masker:
        raise ConfigError("--ratio needs a masker. Name one with --masker, or leave --ratio out.")
    config = read_data_settings(settings)
    columns = pair_maskers(masker, ratio) if masker else []
    with Console(stderr=True).status("drawing"):
        across = max(1, 6 // (1 + len(columns)))
        sheet = compose(draw_contact_sheet(spec, columns, count=count, across=across, seed=seed, config=config))
        save_picture(sheet, out)
    print_image(sheet, Console())
    typer.echo(f"{out}  ({sheet.width} x {sheet.height} pixels)")
