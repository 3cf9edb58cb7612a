from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_masker.py"


def test_it_keeps_the_contract_finds_objects_masks_a_tower_and_trains(
    example: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    example("own_masker")
    said = capsys.readouterr().out
    recall = {name: int(share) for name, share in re.findall(r"(\S+) +keeps (\d+)% of the objects", said)}
    assert recall["own_masker:Colourful"] > recall["random"] + 10
    assert "a ViT of timm: logits (32, 48) of 50% of the patches" in said
    config = yaml.safe_load(Path("runs/example-masker/config.yaml").read_text())
    assert config["masker"]["name"] == "own_masker:Colourful"
    assert "the contract is kept" in said
    assert "trained 3 steps with it" in said


def test_it_is_as_short_as_it_says() -> None:
    written = next(node for node in ast.parse(EXAMPLE.read_text()).body if isinstance(node, ast.ClassDef))
    assert written.end_lineno is not None
    assert written.end_lineno - written.lineno < 15
