"""Arguments and options that several commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WEIGHTS = "Run folder, checkpoint folder, MODEL:TAG, MODEL:FILE, or folder of an exported model."

Spec = Annotated[str, typer.Argument(metavar="SPEC", help="Shards, a table or a folder, as for `train --data`.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device that computes.")]
EvalRoot = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the evaluation sets, each as wds_NAME or NAME.")]
ImageSize = Annotated[int, typer.Option(min=1, metavar="PIXELS", help="Side of the images.")]
PatchSize = Annotated[int, typer.Option(min=1, metavar="PIXELS", help="Side of a patch.")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the masks.")]
Repeats = Annotated[int, typer.Option(min=1, metavar="N", help="Rounds; each times everything once.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Shards processed at once; one per core if not given.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="JSON file to write the figures to.")]
