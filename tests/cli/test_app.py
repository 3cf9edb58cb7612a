"""The whole command line. The golden file is written anew by `PGSCLIP_WRITE_GOLDEN=1 pytest tests/cli/test_app.py`."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pgsclip import __version__
from pgsclip.cli import app as room
from pgsclip.errors import PgsclipError, UnfinishedError

GOLDEN = Path(__file__).parents[1] / "golden" / "help.txt"
Process = Callable[..., subprocess.CompletedProcess[str]]

_HEAVY = """
import sys
from pgsclip.cli.app import main
try:
    main({arguments})
finally:
    print("LOADED", sorted({heavy} & set(sys.modules)))
"""
_LIBRARIES = {"torch", "open_clip", "numpy", "cv2", "deepspeed", "timm"}
_READERS = {"yaml", "pydantic", "importlib.metadata"}  # of recipes, settings and plugins


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], _LIBRARIES | _READERS),
        (["--version"], _LIBRARIES | _READERS),
        (["train", "--help"], _LIBRARIES | {"yaml"}),  # Typer itself may read a command's options with pydantic
        (["eval", "all", "--help"], _LIBRARIES | {"yaml"}),
        (["recipes"], _LIBRARIES),
        (["config", "schema"], _LIBRARIES),
    ],
)
def test_help_and_lists_import_nothing_heavy(process: Process, arguments: list[str], heavy: set[str]) -> None:
    done = process("-c", _HEAVY.format(arguments=arguments, heavy=heavy))
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def test_the_commands_are_built_once(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs a fifth of `pgsclip --help`: Typer reads the annotations of every command."""
    built = []
    build = typer.main.get_command
    monkeypatch.setattr(typer.main, "get_command", lambda app: built.append(app) or build(app))
    assert "train" in cli("--help").out
    assert built == [room.app]


def test_help_of_train_is_the_one_we_agreed_on(process: Process) -> None:
    done = process("-m", "pgsclip", "train", "--help", COLUMNS="100", TERMINAL_WIDTH="100", TERM="dumb")
    text = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines()) + "\n"
    if os.environ.get("PGSCLIP_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert words(text) == words(GOLDEN.read_text(encoding="utf-8"))


def words(text: str) -> list[str]:
    """What is said, not how: versions of Typer and Rich draw frames, types and line breaks differently."""
    return re.sub(r"<\w+>|\b(TEXT|PATH|INTEGER|FLOAT)\b|[│╭╮╰╯─]", " ", text).split()


def test_version_is_printed_without_a_command(cli: Callable[..., Any]) -> None:
    said = cli("--version")
    assert (said.code, said.out) == (0, f"pgsclip {__version__}\n")


def test_without_a_command_the_commands_are_listed(cli: Callable[..., Any]) -> None:
    said = cli()
    for name in ("train", "eval", "report", "compare", "viz-mask", "maskers", "recipes", "data", "bench", "status"):
        assert name in said.out + said.err


def test_unknown_commands_and_options_are_named(cli: Callable[..., Any]) -> None:
    assert cli("trian").code == 2
    said = cli("train", "--batchsize", "3")
    assert said.code == 2
    assert "--batchsize" in said.err


@pytest.mark.parametrize(("launcher", "code"), [(None, 75), ("TORCHELASTIC_RUN_ID", 0)])
def test_a_run_that_was_asked_to_stop_is_not_started_again_by_torchrun(
    monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any], launcher: str | None, code: int
) -> None:
    def stop(*_: object) -> None:
        raise UnfinishedError("Stopped by SIGTERM.")

    monkeypatch.setattr(room, "refuse_swallowed_options", stop)
    if launcher:
        monkeypatch.setenv(launcher, "mine")
    said = cli("train")
    assert (said.code, said.err) == (code, "pgsclip: Stopped by SIGTERM.\n")


def test_our_errors_become_one_sentence_and_their_exit_code(
    monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    def fail(*_: object) -> None:
        raise PgsclipError("It is so.")

    monkeypatch.setattr(room, "refuse_swallowed_options", fail)
    said = cli("train")
    assert (said.code, said.out, said.err) == (2, "", "pgsclip: It is so.\n")


def test_ctrl_c_is_a_sentence(monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pgsclip.training.request.configure", interrupt)
    said = cli("train")
    assert (said.code, said.err.strip()) == (130, "pgsclip: stopped by the keyboard.")


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pgsclip.training.request.configure", crash)
    with pytest.raises(ZeroDivisionError):
        room.main(["train"])
