from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pgsclip.config.resolve import resolve


def test_options_answer_everything_and_nothing_is_overwritten(cli: Callable[..., Any], model: str) -> None:
    answers = ("--data", "shards", "--model", model, "--masker", "random", "--batch-size", "8", "--steps", "3")
    said = cli("init", "mine.yaml", *answers, "--ratio", "0.25")
    assert (said.code, said.err) == (0, "")
    assert "pgsclip train --recipe mine.yaml --dry-run" in said.out
    found = resolve("mine.yaml", {})
    assert (found.data.spec, found.model.name, found.masker.name, found.optim.steps) == ("shards", model, "random", 3)
    said = cli("init", "mine.yaml", *answers)
    assert said.code == 2
    assert "mine.yaml exists and is not overwritten" in said.err


def test_what_no_option_answers_is_asked_in_a_terminal(
    cli: Callable[..., Any], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def answer(question: str, default: str) -> str:
        asked.append((question, default))
        return {"Your": "pairs.csv", "The": "none"}.get(question.split()[0], "16 20")

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", answer)
    said = cli("init", "--model", model)
    assert (said.code, said.err) == (0, "")
    assert [question.split()[0] for question, _ in asked] == ["Your", "The", "Batch"]
    assert "pgs, random" in asked[1][0]
    found = resolve("recipe.yaml", {})
    assert (found.data.spec, found.masker.name, found.data.batch_size, found.optim.steps) == (
        "pairs.csv",
        "none",
        16,
        20,
    )


def test_without_a_terminal_defaults_stand_and_a_wrong_answer_writes_nothing(
    cli: Callable[..., Any], model: str, tmp_path: Path
) -> None:
    assert cli("init", "--model", model).code == 0
    assert resolve("recipe.yaml", {}).optim.steps == 10_000
    said = cli("init", "other.yaml", "--model", model, "--masker", "pgss")
    assert said.code == 2
    assert "Did you mean 'pgs'" in said.err
    assert not (tmp_path / "other.yaml").exists()
