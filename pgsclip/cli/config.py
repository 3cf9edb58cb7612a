"""`pgsclip config`: the format of recipes, and a check of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import recipe_files

config = typer.Typer(help="Describe the format of recipes, and check one.", no_args_is_help=True)


@config.command("schema")
def schema(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write it to instead of printing it.")
    ] = None,
) -> None:
    """Print the JSON schema of recipes, with which editors complete keys, show their help and mark mistakes.

    For an editor with yaml-language-server, write the schema beside your recipes and begin each recipe with

    `# yaml-language-server: $schema=pgsclip.schema.json`
    """
    import json

    from pgsclip.cli.figures import write_figures
    from pgsclip.config.json_schema import build_recipe_schema

    if out is None:
        typer.echo(json.dumps(build_recipe_schema(), indent=2))
        return
    write_figures(out, build_recipe_schema())
    typer.echo(f"{out}  (begin a recipe with `# yaml-language-server: $schema={out.name}` to use it)")


@config.command("check")
def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Recipe, or config.yaml of a run.", autocompletion=recipe_files)
    ],
) -> None:
    """Check that a run could be built from a file: its keys, values, plugins and model.

    The data is not read.
    """
    from pgsclip.config.resolve import resolve
    from pgsclip.training.planning.check_config import check_config

    found = resolve(file, {})
    check_config(found)
    steps, epochs = found.optim.steps, found.optim.epochs
    length = f"{steps:,} steps" if steps else f"{epochs:g} epochs" if epochs else "as long as --steps or --epochs says"
    batch = found.data.batch_size
    data = found.data.spec if "spec" in found.data.model_fields_set else "what --data names"
    typer.echo(
        f"{file} is a valid recipe: {found.model.name}, masker {found.masker.name} {found.masker.ratio}, "
        f"batch size {batch if isinstance(batch, str) else f'{batch:,}'}, {length} on {data}"
    )
