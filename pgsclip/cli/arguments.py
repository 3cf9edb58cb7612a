"""The words of a command line before Typer reads them: what it would get wrong without a sound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pgsclip.errors import ConfigError


def spell_out_resume(arguments: Sequence[str]) -> list[str]:
    """`--resume` may stand alone; Typer knows no option whose value may be left out."""
    spelled = []
    for number, word in enumerate(arguments):
        alone = word == "--resume" and [*arguments[number + 1 : number + 2]] != ["auto"]
        spelled.append("--resume=always" if alone else word)
    return spelled


def refuse_swallowed_options(arguments: Sequence[str], command: Any) -> None:
    """An option whose value was forgotten would take the next option for it, and name a folder `--steps`.

    `command` is what Typer built of the app; with commands inside, the one that the words name is looked at.

    Raises:
        ConfigError: the value of an option is an option of the same command.
    """
    words = list(arguments)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    options = {name: one for one in command.params for name in one.opts if name.startswith("-")}
    for word, following in pairwise(words):
        if word == "--":
            return
        taken = word in options and not options[word].is_flag and not options[word].count
        if taken and following.partition("=")[0] in options:
            raise ConfigError(
                f"{word} needs a value, and the option {following.partition('=')[0]} stands in its place; write "
                f"{word} {options[word].metavar or 'VALUE'}, or leave {word} out."
            )
