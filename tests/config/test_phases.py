from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip.config.phases import plan_phases
from pgsclip.config.ratio import Ratio
from pgsclip.config.resolve import resolve
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError


def config(*settings: str) -> RunConfig:
    return resolve(None, {"data.batch_size": 8, "masker.name": "pgs"}, settings)


@pytest.mark.parametrize(
    ("steps", "epochs", "expected"), [(7, 3.0, 7), (None, 2.0, 25), (None, 0.5, 6), (None, 0.001, 1)]
)
def test_length_of_a_run(steps: int | None, epochs: float, expected: int) -> None:
    (phase,) = plan_phases(config(f"optim.steps={steps or 'null'}", f"optim.epochs={epochs}"), 100)
    assert (phase.number, phase.first, phase.end, phase.steps) == (0, 0, expected, expected)


def test_phases_follow_each_other_and_change_only_what_they_say() -> None:
    tail = (
        "phases=[{steps: 4, lr: 1e-5}, {epochs: 0.5, lr: 0.1, warmup_steps: 2, image_size: 96, masker: {name: random}}]"
    )
    run = config("optim.steps=10", "optim.lr=0.5", "optim.warmup_steps=3", "model.image_size=64", tail)
    main, tuning, last = plan_phases(run, 100)
    assert [(p.first, p.end) for p in (main, tuning, last)] == [(0, 10), (10, 14), (14, 20)]
    assert main.config == run
    assert (tuning.config.masker.name, tuning.config.masker.ratio) == ("none", Ratio(0, 0))
    assert (tuning.config.optim.lr, tuning.config.optim.warmup_steps, tuning.config.model.image_size) == (1e-5, 0, 64)
    assert (last.config.optim.lr, last.config.optim.warmup_steps, last.config.model.image_size) == (0.1, 2, 96)
    assert (last.config.masker.name, last.config.data) == ("random", run.data)


def test_what_has_no_length_is_named() -> None:
    with pytest.raises(ConfigError, match=r"run has no length\..* --steps .*--epochs.*--recipe"):
        plan_phases(config(), 100)
    with pytest.raises(ConfigError, match=r"^phases\.1 has neither steps nor epochs\..*phases\.1\.steps"):
        plan_phases(config("optim.steps=3", "phases=[{steps: 2}, {lr: 0.1}]"), 100)


def test_a_phase_without_a_rate_has_that_of_the_run() -> None:
    run = config("optim.steps=10", "optim.lr=0.5", "optim.warmup_steps=3", "phases=[{steps: 4}, {steps: 4, lr: 0.1}]")
    assert [phase.config.optim.lr for phase in plan_phases(run, 100)] == [0.5, 0.5, 0.1]


def test_one_setting_of_a_phase_can_be_changed(tmp_path: Path) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text("phases: [{steps: 4, lr: 0.1}, {epochs: 1, masker: {name: pgs, ratio: 0.3}}]\n")
    changed = resolve(str(recipe), {}, ["phases.0.steps=9", "phases.1.masker.ratio=0.5", "phases.1.lr=0.2"]).phases
    assert [(phase.steps, phase.epochs, phase.lr) for phase in changed] == [(9, None, 0.1), (None, 1, 0.2)]
    assert (changed[1].masker.name, changed[1].masker.ratio) == ("pgs", Ratio(0.5, 0.5))
    for wrong in ("phases.2.steps=9", "phases.last.steps=9", "phases.0=9"):
        with pytest.raises(ConfigError, match="--set: phases: Input should be a list, "):
            resolve(str(recipe), {}, [wrong])


def test_a_mistake_in_a_phase_names_its_place() -> None:
    with pytest.raises(
        ConfigError, match=r"phases\.0\.lrr is unknown. Did you mean 'lr'\? Allowed here: steps, epochs, "
    ):
        config("phases=[{lrr: 0.1}]")
    with pytest.raises(ConfigError, match=r"phases\.0\.masker\.foo is unknown\. .*Allowed here: name, ratio"):
        config("phases=[{lr: 1, masker: {foo: 1}}]")
