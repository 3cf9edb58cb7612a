"""`pgsclip config`: what a recipe may say, and whether one says it right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgsclip.cli.completion import recipe_files

config = typer.Typer(help="What a recipe may say, and whether it is right.", no_args_is_help=True)


@config.command("schema")
def schema(
    out: Annotated[Path | None, typer.Option(help="Write it there instead of printing it.")] = None,
) -> None:
    """The JSON schema of recipes, for editors: completion of keys, their help, mistakes while typing.

    For editors with yaml-language-server: write the schema beside your recipes and begin each of them with

    `# yaml-language-server: $schema=pgsclip.schema.json`
    """
    import json

    from pgsclip.cli.figures import write_figures
    from pgsclip.config.json_schema import recipe_schema

    if out is None:
        typer.echo(json.dumps(recipe_schema(), indent=2))
        return
    write_figures(out, recipe_schema())
    typer.echo(f"{out}  (begin a recipe with `# yaml-language-server: $schema={out.name}` to have it used)")


@config.command("check")
def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A recipe or a config.yaml.", autocompletion=recipe_files)
    ],
) -> None:
    """Say whether a run could be built from a file: every key, value, plugin and the model. Data is not looked at."""
    from pgsclip.config.resolve import resolve
    from pgsclip.training.planning.check_config import check_config

    found = resolve(file, {})
    check_config(found)
    length = f"{found.optim.steps:,} steps" if found.optim.steps else f"{found.optim.epochs or 0:g} epochs"
    batch = found.data.batch_size
    data = found.data.spec if "spec" in found.data.model_fields_set else "what --data names"
    typer.echo(
        f"{file} is a valid recipe: {found.model.name}, masker {found.masker.name} {found.masker.ratio}, "
        f"batch size {batch if isinstance(batch, str) else f'{batch:,}'}, {length} on {data}"
    )
