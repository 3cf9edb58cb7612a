"""The page that lists every command with its arguments and options, written from the program itself."""

from __future__ import annotations

import re
from typing import Any

import typer

from pgsclip.cli.app import app

HEAD = """# The command line

Every command, with all that it takes, written from the program itself; `pgsclip COMMAND --help` says the same. The
settings that `--set` takes are in [Functions and settings](api.md); `pgsclip train --dry-run` prints them all.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    command: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *_parts("pgsclip", command)])


def _parts(name: str, command: Any) -> list[str]:
    context = typer.Context(command, info_name=name)
    if hasattr(command, "commands") and not command.invoke_without_command:  # only a name for those below it
        return _below(name, command)
    rows = [
        f"| `{record[0]}` | {_cell(record[1])} |"
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) and "--help" not in parameter.opts
    ]
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    table = ["| word | what it means |", "|---|---|", *rows, ""] if rows else []
    return [f"## {name}\n", f"{(command.help or '').strip()}\n", f"    {usage}\n", *table, *_below(name, command)]


def _cell(text: str) -> str:
    """Text for a table: a bar ends the cell, unless it stands in code."""
    return re.sub(r"`[^`]*`|\|", lambda found: found[0] if len(found[0]) > 1 else "\\|", text.replace("\n", " "))


def _below(name: str, command: Any) -> list[str]:
    commands: dict[str, Any] = getattr(command, "commands", {})
    return [part for word, each in commands.items() if not each.hidden for part in _parts(f"{name} {word}", each)]
