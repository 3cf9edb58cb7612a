from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip.config.ratio import Ratio
from pgsclip.config.resolve import to_yaml
from pgsclip.errors import ConfigError, RunError
from pgsclip.training.request import Resume, configure, parse_resume


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store(path: str, *settings: str, recipe: str | None = "clipart") -> None:
    config = configure(recipe, {"data.spec": "generated"}, settings).config
    Path(path).mkdir(parents=True)
    Path(path, "config.yaml").write_text(to_yaml(config))


def test_with_neither_recipe_nor_data_it_is_the_smoke_run() -> None:
    request = configure(None, {"masker.name": "pgs"}, [])
    assert request.config.recipe == "smoke"
    assert request.path == Path("runs/smoke-pgs-0.5")


def test_with_data_there_is_no_recipe() -> None:
    request = configure(None, {"data.spec": "generated"}, [])
    assert request.config.recipe is None
    assert request.config.model.name == "ViT-B-16"


def test_out_is_the_folder() -> None:
    assert configure(None, {"out": "a/b"}, []).path == Path("a/b")


def test_steps_are_the_whole_run_unless_phases_are_asked_for_as_well() -> None:
    tuned, typed = "cc12m-vit-b16-flip-0.5-tuned", {"data.spec": "generated", "optim.steps": 3}
    assert len(configure(tuned, {"data.spec": "generated"}, []).config.phases) == 1
    assert configure(tuned, typed, []).config.phases == ()
    assert len(configure(tuned, typed, ["phases=[{steps: 2, lr: 0.1}]"]).config.phases) == 1
    store("run", recipe=tuned)
    longer = configure(None, {"out": "run", "optim.steps": 3}, [], resume=Resume.ALWAYS)
    assert len(longer.config.phases) == 1, "a run that goes on keeps what it had"


def test_resume_takes_the_config_of_the_run_with_new_options_on_top() -> None:
    store("mine", "masker.name=random", "masker.ratio=0.4", "optim.lr=0.5", "optim.steps=7")
    request = configure(None, {"out": "mine", "optim.steps": 9}, ["optim.eps=0.25"], resume=Resume.ALWAYS)
    config = request.config
    assert (config.masker.name, config.masker.ratio, config.optim.lr) == ("random", Ratio(0.4, 0.4), 0.5)
    assert (config.optim.steps, config.optim.eps) == (9, 0.25)
    assert request.resume


def test_what_is_not_as_the_run_had_it_is_named_but_not_what_does_not_matter_to_it() -> None:
    store("mine", "masker.name=random")
    same = configure(None, {"out": "mine"}, ["log.every_steps=3", "checkpoint.keep=9"], resume=Resume.ALWAYS)
    assert same.changed == ()
    other = configure(None, {"out": "mine", "seed": 4}, ["loss.name=siglip"], resume=Resume.ALWAYS)
    assert sorted(other.changed) == ["loss.name (clip, now siglip)", "seed (0, now 4)"]


@pytest.mark.parametrize("recipe", ["clipart", None])
def test_a_resumed_run_keeps_the_name_of_its_recipe(recipe: str | None) -> None:
    store("mine", recipe=recipe)
    assert configure(None, {"out": "mine"}, [], resume=Resume.ALWAYS).config.recipe == recipe


def test_a_moved_run_is_resumed_where_it_is_now() -> None:
    store("old", "out=old")
    Path("old").rename("new")
    assert configure(None, {"out": "new"}, [], resume=Resume.ALWAYS).path == Path("new")


def test_resume_with_nothing_there() -> None:
    with pytest.raises(RunError, match=r"no run to resume in mine \(no config.yaml\). Give the folder of the run with"):
        configure(None, {"out": "mine"}, [], resume=Resume.ALWAYS)


def test_auto_goes_on_where_there_is_a_run_and_starts_where_there_is_none() -> None:
    fresh = configure("clipart", {"out": "mine", "data.spec": "generated"}, [], resume=Resume.AUTO)
    assert (fresh.resume, fresh.config.recipe) == (False, "clipart")
    store("mine", "optim.lr=0.5")
    again = configure("clipart", {"out": "mine", "data.spec": "generated"}, [], resume=Resume.AUTO)
    assert (again.resume, again.may_start, again.config.optim.lr) == (True, True, 0.5)
    assert not configure(None, {"out": "mine"}, [], resume=Resume.ALWAYS).may_start


def test_what_may_follow_resume() -> None:
    assert [parse_resume(word) for word in (None, "always", "auto")] == [Resume.NEVER, Resume.ALWAYS, Resume.AUTO]
    with pytest.raises(ConfigError, match="--resume 'yes' is unknown; give --resume alone, or --resume auto"):
        parse_resume("yes")


def test_what_was_measured_stays_on_resume_and_is_no_change() -> None:
    store("mine", "data.batch_size=40", "data.workers=3")
    again = {"out": "mine", "data.batch_size": "auto"}
    request = configure(None, again, ["data.workers=auto"], resume=Resume.AUTO)
    assert (request.config.data.batch_size, request.config.data.workers) == (40, 3)
    assert request.changed == ()
    other = configure(None, {"out": "mine", "data.batch_size": 80}, ["data.workers=1"], resume=Resume.ALWAYS)
    assert other.changed == ("data.batch_size (40, now 80)", "data.workers (3, now 1)")


def test_workers_of_a_run_that_has_the_word_itself_follow_the_rule_that_it_meant() -> None:
    store("old", "data.workers=auto")
    request = configure(None, {"out": "old"}, [], resume=Resume.ALWAYS)
    assert request.config.data.workers is None
    assert request.changed == ()
