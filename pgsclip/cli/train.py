"""`pgsclip train`: options in, a run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_EPILOG = """
**Examples**

`pgsclip train --masker pgs --ratio 0.5` — the smoke run: about a minute on a laptop, no data needed

`pgsclip train --recipe clipart --data 'shards/train-{00000..00006}.tar'` — train on your own pairs

`pgsclip train --recipe cc12m-vit-b16-pgs-0.3 --data '/data/cc12m/{00000..01242}.tar' --dry-run` — what it would take

`torchrun --nproc-per-node 8 -m pgsclip train --recipe cc12m-vit-b16-flip-0.5 --data ...` — on eight GPUs
"""


def train(
    masker: Annotated[str | None, typer.Option(help="Which patches to show: `pgsclip maskers` lists them.")] = None,
    ratio: Annotated[
        str | None, typer.Option(metavar="R|LO:HI", help="Share of patches to hide, or a range per image.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="`pgsclip recipes` lists them; `smoke` when not given.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Shards `dir/{000..123}.tar`, a glob, `a::b`, a CSV/TSV, a folder, `generated`."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; `runs/...` when not given.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Length of the run in passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs per step, over all processes together.")] = None,
    seed: Annotated[int | None, typer.Option(help="Where all chance comes from.")] = None,
    engine: Annotated[str | None, typer.Option(metavar="auto|torch|deepspeed", help="What executes a step.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of the run folder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the config and the plan, then stop.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; repeatable.")
    ] = None,
) -> None:
    """Train a CLIP model on visible patches. Without a recipe and data: a one-minute run that proves it works."""
    options: dict[str, Any] = {
        "masker.name": masker,
        "masker.ratio": ratio,
        "data.spec": data,
        "out": None if out is None else str(out),
        "optim.steps": steps,
        "optim.epochs": epochs,
        "data.batch_size": batch_size,
        "seed": seed,
        "engine.name": engine,
    }
    from pgsclip.training.run import dry_run as plan
    from pgsclip.training.run import start

    request = start(recipe, options, settings or [], resume=resume)
    if dry_run:
        plan(request)
    else:
        request.train()


train.__doc__ = f"{train.__doc__}\n{_EPILOG}"
