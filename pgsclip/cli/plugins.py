"""`pgsclip plugins`: a list of what is installed, a check that it works, and a template to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from typer import Context

    from pgsclip.plugins import Plugin
else:
    Context = typer.Context.__base__  # Typer hands over click's own class, and tests check annotations

plugins = typer.Typer()


@plugins.callback(invoke_without_command=True)
def _list(
    context: Context,
    check: Annotated[
        bool, typer.Option("--check", help="Import every plugin, and name those that do not work.")
    ] = False,
) -> None:
    """List installed maskers, losses and loggers, or start a masker of your own.

    `PGSCLIP_PLUGINS=a,b` in the environment allows only these distributions beside pgsclip itself; `PGSCLIP_PLUGINS=`
    allows none.
    """
    from pgsclip import plugins as registry
    from pgsclip.errors import PluginError

    if context.invoked_subcommand is not None:
        return
    broken = 0
    for group in registry.GROUPS:
        found = registry.find(group)
        typer.echo(registry.name_kinds(group))
        rows = [(name, owner, len(owners) > 1) for name, owners in found.items() for owner in owners]
        width = max((len(name) for name, _, _ in rows), default=0)
        for name, owner, twice in rows:
            note = "  claimed twice" if twice else ""
            typer.echo(f"  {name:{width}}  {owner.distribution} {owner.version}  {owner.target}{note}")
            problem = _problem(owner) if check else None
            if problem:
                broken += 1
                typer.echo(f"  {'':{width}}  {problem}")
        if not rows:
            typer.echo("  none")
    for distribution in registry.list_switched_off():
        typer.echo(f"switched off by {registry.SWITCH}: {distribution}")
    for name in registry.list_missing():
        typer.echo(f"named in {registry.SWITCH} but not installed: {name}")
    if broken:
        raise PluginError(f"{broken} {'plugin does' if broken == 1 else 'plugins do'} not work; see above.")


@plugins.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the masker, such as bright-sky.")],
    folder: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write; ./NAME if not given.")] = None,
) -> None:
    """Write a masker to start from, as a distribution that installs and passes its own tests."""
    from pgsclip.cli.new_plugin import write_plugin

    place = Path(name) if folder is None else folder
    for path in write_plugin(name, place):
        typer.echo(f"  {path}")
    masker = name.removeprefix("pgsclip-").replace("_", "-")
    typer.echo(
        f"Next:\n"
        f"  python -m pip install -e {place if place.is_absolute() else f'./{place}'}\n"
        f"  pgsclip viz-mask photo.jpg --masker {masker}\n"
        f"  python -m pip install pytest && python -m pytest {place}"
    )


def _problem(owner: Plugin) -> str | None:
    from pgsclip.errors import PgsclipError
    from pgsclip.plugins import import_plugin

    try:
        import_plugin(owner)
    except PgsclipError as error:
        return str(error)
    return None
