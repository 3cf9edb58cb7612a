"""`pgsclip maskers` and `pgsclip recipes`: lists to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgsclip.cli.completion import recipe_files

if TYPE_CHECKING:  # pydantic's model class would be fine, but the maskers behind it import torch
    from pydantic import BaseModel
    from typer import Context

    from pgsclip.plugins import Plugin
else:
    Context = typer.Context.__base__  # Typer hands over click's own class, and tests check annotations

recipes = typer.Typer(invoke_without_command=True)


def maskers(
    text: Annotated[bool, typer.Option("--text", help="List the maskers of captions instead.")] = False,
) -> None:
    """List the installed maskers: what each does, its parameters, the distribution it comes from."""
    from pgsclip import plugins

    for name, owners in plugins.find(plugins.TEXT_MASKERS if text else plugins.MASKERS).items():
        for owner in owners:
            typer.echo(f"{name}  ({owner.distribution} {owner.version})")
            typer.echo("\n".join(f"    {line}" for line in _describe(name, owner, twice=len(owners) > 1)))


@recipes.callback()
def _list(context: Context) -> None:
    """List the recipes that ship with pgsclip, show one or copy one."""
    from pgsclip.config.recipes import list_recipe_names, read_recipe_header

    if context.invoked_subcommand is None:
        names = list_recipe_names()
        for name in names:
            typer.echo(f"{name:{max(map(len, names))}}  {read_recipe_header(name)[0]}")


@recipes.command("show")
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="Name of a recipe, or a YAML file.", autocompletion=recipe_files)
    ],
) -> None:
    """Print a recipe: its header and everything that it sets, its parents merged in."""
    import yaml

    from pgsclip.config.recipes import load_recipe, read_recipe_header

    recipe = load_recipe(name)
    typer.echo("\n".join(f"# {line}" for line in read_recipe_header(name)))
    typer.echo(yaml.safe_dump(recipe.settings, sort_keys=False, allow_unicode=True), nl=False)


@recipes.command("copy")
def copy(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="Name of a recipe, or a YAML file.", autocompletion=recipe_files)
    ],
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Copy to write; NAME.yaml if not given.")] = None,
) -> None:
    """Copy a recipe, comments and all, to change it.

    `pgsclip train --recipe FILE` trains with the copy.
    """
    from pgsclip.config.recipes import read_recipe_text
    from pgsclip.errors import ConfigError
    from pgsclip.files import write_atomically

    text = read_recipe_text(name)
    copied = file or Path(f"{Path(name).name.removesuffix('.yaml')}.yaml")
    if copied.exists():
        raise ConfigError(f"{copied} exists and is not overwritten. Give another FILE.")
    try:
        write_atomically(copied, text)
    except OSError as error:
        raise ConfigError(f"The recipe cannot be written to {copied}: {error.strerror}. Give another FILE.") from None
    typer.echo(f"{copied}  (change it, then `pgsclip config check {copied}`)")


def _describe(name: str, owner: Plugin, *, twice: bool) -> list[str]:
    from pgsclip.errors import PgsclipError
    from pgsclip.plugins import TEXT_MASKERS, import_plugin

    try:
        kind = import_plugin(owner)
        parameters = kind.Params
        captions = owner.group == TEXT_MASKERS
        range_too = not captions and kind.chooses_ratio
    except (PgsclipError, AttributeError) as error:
        return [f"does not work: {error}"]
    lines = [(kind.__doc__ or "No description.").strip().splitlines()[0]]
    if twice:
        option = "--set text.masker=" if captions else "--masker "
        lines.append(f"Two distributions claim this name. Choose this one with {option}{owner.target}")
    if captions:
        words = "" if name == "none" else " --set text.max_tokens=N"
        lines.append(f"--set text.masker={name}{words}")
    else:
        lines.append(f"--ratio R{' or LO:HI' if range_too else ''}")
    return lines + _parameters(parameters, "text" if captions else "masker")


def _parameters(model: type[BaseModel], section: str) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        default = field.get_default()
        given = str(default).lower() if isinstance(default, bool) else default
        lines.append(f"--set {section}.params.{name}={given}  {field.description or ''}".rstrip())
    return lines
