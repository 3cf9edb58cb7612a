"""Real steps of the smallest model, in this process; their own process is tested beside its module."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch

from pgsclip.config.resolve import resolve
from pgsclip.errors import ConfigError, TrainingError
from pgsclip.training.mfu import measure_arithmetic
from pgsclip.training.planning import trial_steps as room
from pgsclip.training.planning.memory import memory_gib
from pgsclip.training.planning.trial_steps import Probed, probe
from pgsclip.training.step import Stepper

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "pgsclip-probe.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(tmp_path / "models")
    monkeypatch.setattr(room, "_SECONDS", 0.0)
    monkeypatch.setattr(room, "_LOADER_SECONDS", 0.0)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def found(*settings: str, phase: int = 0, only_memory: bool = False) -> Probed:
    given = [
        "model.name=pgsclip-probe", "data.samples=64", "data.workers=0", "data.batch_size=8", "masker.name=random",
        "engine.device=cpu", "optim.steps=100",
    ]  # fmt: skip
    return probe(resolve("smoke", {}, [*given, *settings]), phase, only_memory=only_memory)


def test_what_a_few_steps_tell(quick: Path) -> None:
    one = found()
    assert (one.steps, one.warm, one.pairs, one.workers, one.kept) == (3, 2, 8, 0, 0.5)
    assert one.seconds > 0
    assert one.waited > 0, "it reads for itself"
    assert one.reader_seconds > 0
    assert one.memory_gib == pytest.approx(memory_gib(torch.device("cpu")), rel=0.01)
    assert one.taken >= one.memory_gib * 2**30 * 0.99
    assert 0 < one.resting < one.taken
    assert list(quick.iterdir()) == []


def test_a_pair_is_counted_at_what_is_really_read() -> None:
    half, all_patches = found(), found("masker.name=none")
    assert 0.4 < half.gflops / all_patches.gflops < 0.9
    twice = found("data.views=2", "masker.name=none")
    assert 1.2 < twice.gflops / all_patches.gflops < 2
    assert found("optim.accumulation_steps=2").gflops == pytest.approx(half.gflops, rel=0.05), "per pair, not per pass"


def test_only_memory_is_the_fewest_steps_and_no_look_at_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_seconds_per_pair", lambda stream, pairs: pytest.fail("looked at the loader"))
    one = found(only_memory=True)
    assert (one.steps, one.reader_seconds) == (1, 0.0)
    assert one.taken > one.resting > 0


def test_fast_steps_are_counted_for_some_seconds_and_slow_ones_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_SECONDS", 1e9)
    monkeypatch.setattr(room, "_MOST", 5)
    assert found().steps == 5


def test_the_steps_are_those_in_the_middle_of_their_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, float]] = []
    real = Stepper.step

    def note(self: Stepper, number: int, batches: object, lr: float) -> object:
        made.append((number, self.total))
        return real(self, number, batches, lr)  # type: ignore[arg-type]

    monkeypatch.setattr(Stepper, "step", note)
    one = found("phases=[{steps: 20, lr: 0.1}]", phase=1)
    assert made == [(number, 120) for number in (110, 111, 112, 113, 114)]
    assert one.kept == 1.0, "the second phase shows every patch"
    made.clear()
    found("optim.steps=3")
    assert [number for number, _ in made] == [1, 2, 2, 2, 2], "never beyond the end"


def test_the_mistake_of_a_run_is_its_mistake() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size 8 .* does not divide over 1 x 3"):
        found("optim.accumulation_steps=3")


def test_steps_that_would_take_hours_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "measure_arithmetic", lambda *given: replace(measure_arithmetic(*given), rate=10.0))
    monkeypatch.setattr(room, "build_engine", lambda *given: pytest.fail("began"))
    with pytest.raises(
        TrainingError, match=r"^5 steps of 8 pairs would take more than \d+ minutes here; plan this run"
    ):
        found()
