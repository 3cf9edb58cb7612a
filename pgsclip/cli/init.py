"""`pgsclip init`: a recipe from four questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import masker_names


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recipe to write.")] = Path("recipe.yaml"),
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Training data: shards, a table, a folder or `generated`.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="An open_clip model, or `pgsclip-clipart`.")] = None,
    masker: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Masker that chooses patches: `pgsclip maskers` lists them.",
            autocompletion=masker_names,
        ),
    ] = None,
    ratio: Annotated[str, typer.Option(metavar="R|LO:HI", help="Share of patches that the masker hides.")] = "0.5",
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Pairs per step.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Length of the run in steps.")] = None,
) -> None:
    """Ask four questions, then write and check a recipe.

    A question whose option is given is not asked. Without a terminal none is: the answers are then `generated`,
    ViT-B-16, pgs, a batch size of 256 and 10,000 steps.
    """
    from pgsclip import plugins
    from pgsclip.config.init_recipe import compose_recipe, parse_length
    from pgsclip.errors import ConfigError
    from pgsclip.files import write_atomically
    from pgsclip.training.planning.check_config import check_config

    if file.exists():
        raise ConfigError(f"{file} exists and is not overwritten. Give another FILE.")
    data = data or _ask("Your data (shards, a CSV or TSV file, a folder, or generated)", "generated")
    model = model or _ask("The model (any open_clip ViT; pgsclip-clipart is a small one)", "ViT-B-16")
    masker = masker or _ask(f"The masker ({', '.join(plugins.find(plugins.MASKERS))})", "pgs")
    if batch_size is None or steps is None:
        length = parse_length(_ask("Batch size and steps", f"{batch_size or 256} {steps or 10_000}"))
        batch_size, steps = batch_size or length[0], steps or length[1]
    text, config = compose_recipe(
        data=data, model=model, masker=masker, ratio=ratio, batch_size=batch_size, steps=steps, file=str(file)
    )
    check_config(config)
    try:
        write_atomically(file, text)
    except OSError as error:
        raise ConfigError(f"The recipe cannot be written to {file}: {error.strerror}. Give another FILE.") from None
    typer.echo(f"{file} is written and valid. `pgsclip train --recipe {file} --dry-run` shows its plan.")


def _ask(question: str, default: str) -> str:
    return str(typer.prompt(question, default)) if sys.stdin.isatty() else default
