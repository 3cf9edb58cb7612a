"""Old keys: never read, always answered with the new name, wherever they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

import pgsclip
from pgsclip.config.recipes import flatten
from pgsclip.config.renamed import RENAMED
from pgsclip.config.resolve import resolve
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_new_name_is_a_setting_and_the_old_one_is_not(old: str, new: str) -> None:
    keys = flatten(RunConfig().model_dump())
    assert new in keys
    assert old not in keys


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_key_gets_one_sentence_with_the_new_name(old: str, new: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(None, {}, [f"{old}=4"])
    assert str(caught.value) == f"One setting is not valid:\n  --set: {old} is called {new} now."
    assert caught.value.exit_code == 2


def test_in_recipes_and_the_config_of_a_run(tmp_path: Path) -> None:
    parent, child = tmp_path / "parent.yaml", tmp_path / "config.yaml"
    parent.write_text("text: {masker: truncate, tokens: 8}\n")
    child.write_text("extends: parent.yaml\noptim: {accumulate: 2, lr: 0.1}\n")
    with pytest.raises(ConfigError) as caught:
        resolve(str(child), {})
    assert str(caught.value).splitlines() == [
        "2 settings are not valid:",
        f"  {parent}: text.tokens is called text.max_tokens now.",
        f"  {child}: optim.accumulate is called optim.accumulation_steps now.",
    ]


def test_in_a_phase() -> None:
    with pytest.raises(ConfigError, match=r"phases\.1\.masker\.groups is called phases\.1\.masker\.max_passes now\.$"):
        resolve(None, {}, ["phases=[{steps: 1, lr: 1}, {steps: 1, lr: 1, masker: {name: random, groups: 2}}]"])


def test_from_python() -> None:
    with pytest.raises(ConfigError, match=r"data\.bad_share is called data\.max_bad_share now\.$"):
        pgsclip.train("smoke", {"data.bad_share": 0.1})
    with pytest.raises(ConfigError, match=r"loss\.block is called loss\.logits_per_chunk now\.$"):
        pgsclip.train({"loss": {"block": 8}})
