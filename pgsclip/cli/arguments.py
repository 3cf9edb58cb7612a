"""Words of a command line that Typer would silently misread, put right before it reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from pgsclip.errors import ConfigError

RENAMED = {"--data-root": "--eval-root", "--block": "--logits-per-chunk"}
"""Old option → the one that took its place; scripts that give the old one go on working, with a sentence."""


def spell_out_resume(arguments: Sequence[str]) -> list[str]:
    """Write `--resume` without a value as `--resume=always`: Typer has no option whose value may be left out."""
    spelled = []
    for number, word in enumerate(arguments):
        alone = word == "--resume" and [*arguments[number + 1 : number + 2]] != ["auto"]
        spelled.append("--resume=always" if alone else word)
    return spelled


def replace_old_options(arguments: Sequence[str], command: Any, on_message: Callable[[str], None]) -> list[str]:
    """Put the present name in place of an option that was renamed, and say so.

    Args:
        arguments: the words of the command line.
        command: what Typer built of the app; only an option that the named command has takes its old name.
        on_message: told one sentence for each option that is replaced.
    """
    known = _options_of(arguments, command)
    replaced = list(arguments)
    for number, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        new = RENAMED.get(name)
        if new is not None and new in known:
            replaced[number] = f"{new}{equals}{value}"
            on_message(f"{name} is called {new} now.")
    return replaced


def refuse_swallowed_options(arguments: Sequence[str], command: Any) -> None:
    """Refuse `--out --steps 3`: the value of --out was forgotten, and the run folder would be called `--steps`.

    Args:
        arguments: the words of the command line.
        command: what Typer built of the app.

    Raises:
        ConfigError: the value of an option is an option of the same command.
    """
    options = _options_of(arguments, command)
    for word, following in pairwise(arguments):
        if word == "--":
            return
        taken = word in options and not options[word].is_flag and not options[word].count
        if taken and following.partition("=")[0] in options:
            raise ConfigError(
                f"{word} needs a value, and the option {following.partition('=')[0]} stands in its place; write "
                f"{word} {options[word].metavar or 'VALUE'}, or leave {word} out."
            )


def _options_of(arguments: Sequence[str], command: Any) -> dict[str, Any]:
    """Options, by each of their names, of the command that the first words name."""
    for word in arguments:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    return {name: one for one in command.params for name in one.opts if name.startswith("-")}
