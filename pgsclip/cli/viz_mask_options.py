"""The options of `pgsclip viz-mask`, in the panels of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import masker_names

_MASKERS, _IMAGES, _SHEETS, _MODEL = "Maskers", "Images", "Other sheets", "Embeddings of a model"

Masker = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Masker, with parameters if wanted: 'pgs edges=false'; repeatable. Four of them if not given.",
        autocompletion=masker_names,
        rich_help_panel=_MASKERS,
    ),
]
Ratio = Annotated[
    list[str] | None,
    typer.Option(metavar="R|LO:HI", help="Ratio for all maskers, or one for each in turn.", rich_help_panel=_MASKERS),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the masks.", rich_help_panel=_MASKERS)]
Progress = Annotated[
    float,
    typer.Option(
        min=0, max=1, metavar="0..1", help="Share of the training run that is done.", rich_help_panel=_MASKERS
    ),
]
Out = Annotated[
    Path,
    typer.Option(metavar="FILE", help="PNG to write; a .gif with --over-progress.", rich_help_panel=_IMAGES),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="PIXELS",
        help="Shorter side that the masker sees; 224, or the checkpoint's.",
        rich_help_panel=_IMAGES,
    ),
]
PatchSize = Annotated[
    int | None,
    typer.Option(min=1, metavar="PIXELS", help="Side of a patch; 16, or the checkpoint's.", rich_help_panel=_IMAGES),
]
Background = Annotated[
    str,
    typer.Option(metavar="COLOUR", help="Colour that shows where an image is transparent.", rich_help_panel=_IMAGES),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Draw the maps that pgs and salient decide by as well.", rich_help_panel=_SHEETS),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="N",
        help="Draw a heat map instead: how often each patch is kept in N masks.",
        rich_help_panel=_SHEETS,
    ),
]
OverProgress = Annotated[
    bool,
    typer.Option(
        "--over-progress",
        help="Draw a strip, or a GIF, of the masks over the training run instead.",
        rich_help_panel=_SHEETS,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN|FILE",
        help="Run folder or weights whose patch embeddings the maskers see.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Architecture of --checkpoint; a run folder knows it.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
