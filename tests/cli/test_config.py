from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_schema_is_printed_or_written(cli: Callable[..., Any], tmp_path: Path) -> None:
    printed = json.loads(cli("config", "schema").out)
    said = cli("config", "schema", "--out", "pgsclip.schema.json")
    assert "# yaml-language-server: $schema=pgsclip.schema.json" in said.out
    assert json.loads((tmp_path / "pgsclip.schema.json").read_text()) == printed
    assert printed["title"] == "pgsclip recipe"


def test_check_tells_a_valid_recipe_from_every_kind_of_mistake(
    cli: Callable[..., Any], tmp_path: Path, model: str
) -> None:
    recipe = tmp_path / "mine.yaml"

    def said(*lines: str) -> Any:
        recipe.write_text("\n".join([f"model: {{name: {model}, pretrained: laion2b}}", *lines]))
        return cli("config", "check", "mine.yaml")

    good = said("masker: {name: pgs, ratio: 0.5}", "optim: {steps: 1200}", "data: {spec: nowhere.tar}")
    assert (good.code, good.err) == (0, "")
    for fact in ("mine.yaml is a valid recipe", "pgsclip-test", "pgs 0.5", "size 256", "1,200 steps", "nowhere.tar"):
        assert fact in good.out
    assert "--data" in said("masker: {name: pgs, ratio: 0.5}", "optim: {steps: 1200}").out
    assert "--steps" in said("masker: {name: pgs, ratio: 0.5}").out
    for mistakes, words in {
        "optim: {learning_rate: 1}": "optim.learning_rate is unknown",
        "masker: {name: pgss}": "pgss",
        "masker: {name: pgs, params: {seed: 1}}": "masker 'pgs' refuses its parameters: 'seed' is unknown",
        "loss: {name: clap}": "clap",
        "log: {loggers: [paper]}": "paper",
        "phases: [{steps: 3, lr: 0.1, masker: {name: pgs, params: {seed: 1}}}]": "'seed' is unknown",
    }.items():
        bad = said(mistakes)
        assert bad.code == 2, mistakes
        assert words in bad.err
    recipe.write_text("model: {name: ViT-B-61}")
    assert "Did you mean 'ViT-B-16'" in cli("config", "check", "mine.yaml").err
