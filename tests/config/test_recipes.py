from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip.config.ratio import Ratio
from pgsclip.config.recipes import (
    flatten,
    list_recipe_names,
    load_recipe,
    overlay,
    read_recipe_header,
    read_recipe_text,
)
from pgsclip.config.resolve import resolve
from pgsclip.errors import ConfigError


@pytest.mark.parametrize("name", list_recipe_names())
def test_every_shipped_recipe_loads_and_says_what_it_is(name: str) -> None:
    config = resolve(name, {})
    assert config.recipe == name
    assert config.optim.steps or config.optim.epochs
    header = " ".join(read_recipe_header(name))
    for word in ("Hardware:", "Expect:", "Command: "):
        assert word in header
    if name.startswith("cc12m"):
        assert "arXiv" in header


def test_the_published_settings_of_the_cc12m_family() -> None:
    """Figures from arXiv 2503.17080, section 4.1, and for E-CLIP from arXiv 2405.08815."""
    plain = resolve("cc12m-vit-b16", {})
    assert (plain.data.samples, plain.data.batch_size, plain.optim.epochs) == (10_968_539, 4096, 32)
    assert (plain.optim.lr, plain.optim.betas, plain.optim.eps) == (1e-3, (0.9, 0.98), 1e-6)
    assert (plain.optim.weight_decay, plain.optim.warmup_steps) == (0.2, 10_000)
    expected = {
        "cc12m-vit-b16-flip-0.5": ("random", Ratio(0.5, 0.5)),
        "cc12m-vit-b16-eclip-0.3": ("cluster", Ratio(0.3, 0.3)),
        "cc12m-vit-b16-pgs-0.5": ("pgs", Ratio(0.5, 0.5)),
        "cc12m-vit-b16-pgs-0.3": ("pgs", Ratio(0.3, 0.5)),
    }
    for name, (masker, ratio) in expected.items():
        config = resolve(name, {})
        assert (config.masker.name, config.masker.ratio) == (masker, ratio)
        assert config.model == plain.model
    eclip = resolve("cc12m-vit-b16-eclip-0.3", {})
    assert (eclip.data.batch_size, eclip.optim.lr, eclip.optim.warmup_steps) == (2048, 5e-4, 2000)
    assert resolve("cc12m-vit-b16-pgs-0.3", {}).masker.params == {"candidate_share": 0.05}


def test_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'smoek'. Did you mean 'smoke'\? Shipped recipes: .*clipart"):
        read_recipe_text("smoek")


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1\n")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load_recipe(str(broken))
    broken.write_text("- 1\n- 2\n")
    with pytest.raises(ConfigError, match="must be a mapping of sections"):
        load_recipe(str(broken))
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(broken))


def test_recipes_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"extends: {tmp_path}/b.yaml\n")
    (tmp_path / "b.yaml").write_text(f"extends: {tmp_path}/a.yaml\n")
    with pytest.raises(ConfigError, match=r"circle: .*a.yaml → .*b.yaml → .*a.yaml"):
        load_recipe(str(tmp_path / "a.yaml"))


def test_origins_name_the_file_that_set_a_key(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: smoke\noptim: {lr: 1.0e-4}\n")
    recipe = load_recipe(str(mine))
    assert recipe.origins["optim.lr"] == str(mine)
    assert recipe.origins["model.name"] == "smoke.yaml"
    assert recipe.settings["optim"]["lr"] == 1e-4
    assert recipe.settings["model"]["name"] == "pgsclip-smoke"


def test_overlay_and_dotted() -> None:
    assert overlay({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4}) == {"a": {"b": 1, "c": 3}, "d": 4}
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
