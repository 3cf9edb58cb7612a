"""The options of `pgsclip train`, in the panels of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import masker_names, recipe_files

_WHAT, _LENGTH, _RUN, _PLAN = "Masker, model and data", "Length", "The run", "Plan"

Masker = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Masker that chooses the patches; `pgsclip maskers` lists them.",
        autocompletion=masker_names,
        rich_help_panel=_WHAT,
    ),
]
Ratio = Annotated[
    str | None,
    typer.Option(metavar="R|LO:HI", help="Share of patches to hide, or a range per image.", rich_help_panel=_WHAT),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Recipe to train; `pgsclip recipes` lists them. `smoke` if --data is not given either.",
        autocompletion=recipe_files,
        rich_help_panel=_WHAT,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="Shards `dir/{000..123}.tar`, a glob, `a::b`, a CSV or TSV file, a folder, or `generated`.",
        rich_help_panel=_WHAT,
    ),
]
Steps = Annotated[
    int | None, typer.Option(metavar="N", help="Length of the whole run in steps.", rich_help_panel=_LENGTH)
]
Epochs = Annotated[
    float | None,
    typer.Option(metavar="N", help="Length of the run in passes over the data.", rich_help_panel=_LENGTH),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto", help="Pairs per step, over all processes; `auto`: the most that fit.", rich_help_panel=_LENGTH
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Run folder; `runs/...` if not given.", rich_help_panel=_RUN)
]
Seed = Annotated[
    int | None, typer.Option(metavar="N", help="Seed of every random choice of the run.", rich_help_panel=_RUN)
]
Engine = Annotated[
    str | None,
    typer.Option(metavar="auto|torch|deepspeed", help="Library that executes a step.", rich_help_panel=_RUN),
]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="[auto]",
        help="Continue from the last checkpoint; `auto` starts if there is none.",
        rich_help_panel=_RUN,
    ),
]
StopAfter = Annotated[
    str | None,
    typer.Option(
        metavar="3h30m", help="Save and end after this time; --resume continues the run.", rich_help_panel=_RUN
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print config and plan, measured on a few steps, and stop.", rich_help_panel=_PLAN),
]
NoMeasure = Annotated[
    bool, typer.Option("--no-measure", help="Leave the measured steps out of --dry-run.", rich_help_panel=_PLAN)
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Any other setting; repeatable. --dry-run prints them all.",
        rich_help_panel="Everything else",
    ),
]
