from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip.config.init_recipe import compose_recipe, parse_length
from pgsclip.config.resolve import resolve
from pgsclip.errors import ConfigError


def test_the_text_is_a_recipe_that_means_what_was_answered(tmp_path: Path) -> None:
    text, config = compose_recipe(
        data="a/{0..3}.tar", model="ViT-B-16", masker="pgs", ratio="0.3:0.5", batch_size=64, steps=1000, file="my.yaml"
    )
    (tmp_path / "my.yaml").write_text(text)
    read = resolve(str(tmp_path / "my.yaml"), {})
    assert read.model_copy(update={"recipe": None}) == config
    assert (read.data.spec, read.data.batch_size, str(read.masker.ratio)) == ("a/{0..3}.tar", 64, "0.3:0.5")
    assert (read.optim.steps, read.optim.warmup_steps) == (1000, 50)
    assert text.startswith(
        "# ViT-B-16 on a/{0..3}.tar; masker pgs hides 0.3:0.5.\n# Command: pgsclip train --recipe my."
    )


def test_no_masker_has_no_ratio_and_wrong_answers_are_sentences() -> None:
    answers = {"data": "generated", "model": "ViT-B-16", "batch_size": 64, "steps": 10, "file": "x.yaml"}
    text, config = compose_recipe(masker="none", ratio="0.5", **answers)  # type: ignore[arg-type]
    assert "ratio" not in text
    assert config.masker.ratio.low == 0
    with pytest.raises(ConfigError, match=r"masker\.ratio: .* is outside"):
        compose_recipe(masker="pgs", ratio="5", **answers)  # type: ignore[arg-type]


def test_batch_size_and_steps_stand_in_one_line() -> None:
    assert parse_length("256 10000") == parse_length(" 256, 10000") == (256, 10000)
    for wrong in ("256", "256 many", "-1 5", ""):
        with pytest.raises(ConfigError, match="give two numbers, such as 256 10000"):
            parse_length(wrong)
