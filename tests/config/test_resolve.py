from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pgsclip.config.ratio import Ratio
from pgsclip.config.resolve import check, resolve, to_yaml
from pgsclip.errors import ConfigError


def test_each_layer_overrides_the_one_below(tmp_path: Path) -> None:
    parent = tmp_path / "parent.yaml"
    parent.write_text("optim: {lr: 0.1, eps: 0.2, steps: 5, warmup_steps: 7}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: parent.yaml\noptim: {eps: 0.3, steps: 6, warmup_steps: 8}\n")
    config = resolve(str(child), {"optim.steps": 9, "optim.warmup_steps": 9}, ["optim.warmup_steps=10"])
    optim = config.optim
    assert (optim.lr, optim.eps, optim.steps, optim.warmup_steps) == (0.1, 0.3, 9, 10)
    assert optim.weight_decay == 0.2
    assert config.recipe == "child"


def test_options_that_are_none_do_not_count() -> None:
    assert resolve("smoke", {"masker.name": None, "masker.ratio": None}).masker.name == "pgs"


def test_another_masker_replaces_the_whole_section(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("masker: {name: pgs, ratio: '0.3:0.5', params: {edges: false}}\n")
    masker = resolve(str(recipe), {"masker.name": "random"}).masker
    assert masker.params == {}
    assert masker.ratio == Ratio(0.5, 0.5)
    same = resolve(str(recipe), {"masker.name": "pgs", "masker.ratio": "0.4"}).masker
    assert same.params == {"edges": False}
    assert same.ratio == Ratio(0.4, 0.4)


def test_none_hides_nothing_whatever_the_ratio() -> None:
    masker = resolve(None, {"masker.name": "none", "masker.ratio": "0.5"}).masker
    assert (masker.ratio, masker.hides_nothing) == (Ratio(0, 0), True)
    assert not resolve(None, {"masker.name": "random"}).masker.hides_nothing
    with pytest.raises(ConfigError, match=r"outside \[0, 1\)"):
        resolve(None, {"masker.name": "none", "masker.ratio": "7"})


def test_scientific_notation_and_null_in_settings() -> None:
    config = resolve(None, {}, ["optim.lr=5e-4", "optim.clip_grad_norm=null", "masker.params.deep.key=[1, 2]"])
    assert config.optim.lr == 5e-4
    assert config.masker.params == {"deep": {"key": [1, 2]}}


def test_all_mistakes_at_once_with_place_and_nearest_key(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("optim: {lrr: 3}\ndata: {workers: -2}\n")
    with pytest.raises(ConfigError) as caught:
        resolve(str(recipe), {"masker.name": "pgs", "masker.ratio": "1.5"}, ["engine.name=foo", "batch_size=3"])
    message = str(caught.value)
    assert "settings are not valid" in message
    assert f"{recipe}: optim.lrr is unknown. Did you mean 'lr'? Allowed here: lr, betas" in message
    assert f"{recipe}: data.workers: Input should be greater than or equal to 0 (given: -2)" in message
    assert "--ratio: masker.ratio: '1.5' is outside [0, 1)" in message
    assert "--set: engine.name: Input should be 'auto', 'torch' or 'deepspeed' (given: 'foo')" in message
    assert "batch_size is unknown. Did you mean 'data.batch_size'?" in message


@pytest.mark.parametrize("setting", ["optim.lr", "=3", ""])
def test_settings_need_key_and_value(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"is not of the form section.key=value"):
        resolve(None, {}, [setting])


def test_yaml_form_reads_back_to_the_same_config() -> None:
    config = resolve("smoke", {"masker.ratio": "0.3:0.5"}, ["data.workers=0"])
    assert check(yaml.safe_load(to_yaml(config))) == config


@pytest.mark.parametrize(
    ("key", "option"),
    [
        ("masker.name", "--masker"),
        ("data.spec", "--data"),
        ("engine.name", "--engine"),
        ("data.batch_size", "--batch-size"),
    ],
)
def test_a_mistake_names_the_option_as_it_was_typed(key: str, option: str) -> None:
    with pytest.raises(ConfigError, match=rf"  {option}: {key}: .*\(given: \[\]\)"):
        resolve("smoke", {key: []})


def test_words_stay_words_and_the_last_to_set_a_key_is_blamed(tmp_path: Path) -> None:
    assert resolve(None, {}, ["data.caption_key=nan"]).data.caption_key == "nan"
    with pytest.raises(ConfigError, match=r"--set: optim.lr: Input should be a valid number"):
        resolve("smoke", {}, ["optim.lr.x=3"])
    with pytest.raises(ConfigError, match=r"--steps: optim.steps: .*greater than 0 \(given: 0\)"):
        resolve("smoke", {"optim.steps": 0})


def test_blocks_whose_weights_are_gathered_within_them_are_not_compiled() -> None:
    with pytest.raises(ConfigError, match=r"compile=true .*zero_stage=3; set compile=false"):
        resolve(None, {"engine.compile": True, "engine.zero_stage": 3})
    assert resolve(None, {"engine.compile": True, "engine.zero_stage": 2}).engine.compile


def test_a_number_or_auto() -> None:
    data = resolve("smoke", {"data.batch_size": "auto"}, ["data.workers=auto"]).data
    assert (data.batch_size, data.workers) == ("auto", "auto")
    with pytest.raises(ConfigError, match=r"data\.batch_size=auto is measured .*Give a number"):
        _ = data.pairs_per_step
    data = resolve("smoke", {"data.batch_size": "24"}, ["data.workers=null"]).data
    assert (data.batch_size, data.pairs_per_step, data.workers) == (24, 24, None)
    for given, words in (
        ("batch_size=all", r"'all' is neither a whole number nor 'auto'"),
        ("batch_size=null", r"Input should be a valid integer \(given: None\)"),
        ("batch_size=0", r"Input should be greater than 0 \(given: 0\)"),
        ("workers=all", r"'all' is neither a whole number nor 'auto'"),
        ("workers=-2", r"Input should be greater than or equal to 0 \(given: -2\)"),
    ):
        key = given.partition("=")[0]
        with pytest.raises(ConfigError, match=rf"^One setting is not valid:\n  --set: data\.{key}: {words}"):
            resolve("smoke", {}, [f"data.{given}"])
