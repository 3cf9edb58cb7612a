"""Help is read by people in a hurry: each option and command says what it is, in a sentence of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from pgsclip.cli.app import app

_FRAGMENT = re.compile(r"(Of|Where|What|Which|Whether|As|Also|For|How)\b")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, `pgsclip` and the groups included."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for word, below in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {word}", below)

    yield from walk("pgsclip", typer.main.get_command(app))


def texts() -> Iterator[tuple[str, str]]:
    """Every help text, with the command or option that it belongs to."""
    for name, command in commands():
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {max(parameter.opts, key=len)}", parameter.help or ""


@pytest.mark.parametrize(("name", "text"), [*texts()])
def test_help_is_a_sentence(name: str, text: str) -> None:
    assert text, f"{name} has no help"
    first = text.split("\n\n")[0]
    assert not _FRAGMENT.match(first), f"the subject comes first: {first!r}"
    assert first.rstrip().endswith("."), f"a sentence ends with a full stop: {first!r}"
    assert first[0].isupper() or first[0] == "`", first


def test_a_command_with_many_options_has_them_in_panels() -> None:
    for name, command in commands():
        shown = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
        if len(shown) > 10:
            assert len({one.rich_help_panel for one in shown}) > 1, f"{name} has {len(shown)} options in one list"
