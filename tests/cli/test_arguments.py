from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pgsclip.cli.app import app
from pgsclip.cli.arguments import refuse_swallowed_options, replace_old_options, spell_out_resume
from pgsclip.errors import ConfigError


def test_resume_may_stand_alone_anywhere() -> None:
    assert spell_out_resume(["--resume", "auto", "--out", "a"]) == ["--resume", "auto", "--out", "a"]
    assert spell_out_resume(["--resume", "--out", "a"]) == ["--resume=always", "--out", "a"]
    assert spell_out_resume(["--resume"]) == ["--resume=always"]


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--out", "--resume"], ("--out needs a value", "--resume", "--out DIR")),
        (["--ratio", "--set=a=1"], ("--ratio needs a value", "--set ", "--ratio R|LO:HI")),
        (["--dry-run", "--steps", "--dry-run"], ("--steps needs a value", "--dry-run")),
    ],
)
def test_an_option_is_not_the_value_of_another(
    cli: Callable[..., Any], words: list[str], facts: tuple[str, ...]
) -> None:
    said = cli("train", *words)
    assert said.code == 2
    assert all(fact in said.err for fact in facts), said.err
    assert not list(Path.cwd().iterdir())


def test_resume_takes_no_option_for_its_value(cli: Callable[..., Any]) -> None:
    said = cli("train", "--resume", "--steps", "3", "--out", "nothing")
    assert said.err.startswith("pgsclip: There is no run to resume in nothing")


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--dry-run", "--steps", "3"],
        ["train", "--out", "--odd", "--resume=always", "--set", "a=1"],
        ["data", "--help"],
        ["eval", "zeroshot", "--", "--eval-root", "--device"],
        [],
    ],
)
def test_all_else_is_typer_s_to_judge(words: list[str]) -> None:
    refuse_swallowed_options(words, typer.main.get_command(app))


def test_commands_within_commands_are_looked_into() -> None:
    with pytest.raises(ConfigError, match=r"--batch needs a value.* --repeats "):
        refuse_swallowed_options(["bench", "loss", "--batch", "--repeats"], typer.main.get_command(app))


@pytest.mark.parametrize("words", [["--data-root", "here"], ["--data-root=here"]])
@pytest.mark.parametrize(
    "command", [["eval", "all"], ["data", "eval-sets"], ["data", "check", "x.tar"], ["bench", "eval"]]
)
def test_an_old_option_is_taken_and_its_new_name_is_said(command: list[str], words: list[str]) -> None:
    said: list[str] = []
    replaced = replace_old_options([*command, *words, "--batch-size", "3"], typer.main.get_command(app), said.append)
    assert replaced == [*command, *(word.replace("--data-root", "--eval-root") for word in words), "--batch-size", "3"]
    assert said == ["--data-root is called --eval-root now."]


@pytest.mark.parametrize(
    "words", [["train", "--data-root", "x"], ["eval", "all", "--", "--data-root"], ["--data-root"]]
)
def test_an_old_option_means_nothing_elsewhere(words: list[str]) -> None:
    said: list[str] = []
    assert replace_old_options(words, typer.main.get_command(app), said.append) == words
    assert not said


def test_an_old_option_goes_to_work_and_its_sentence_to_stderr(cli: Callable[..., Any]) -> None:
    old = cli("data", "eval-sets", "--data-root", "nowhere")
    new = cli("data", "eval-sets", "--eval-root", "nowhere")
    assert (old.code, old.out) == (new.code, new.out)
    assert "nowhere" in old.out
    assert (old.err, new.err) == ("pgsclip: --data-root is called --eval-root now.\n", "")
    assert "--data-root" not in cli("data", "eval-sets", "--help").out
