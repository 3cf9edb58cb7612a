from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgsclip.config.resolve import resolve
from pgsclip.config.schema import RunConfig
from pgsclip.data.generated import GeneratedSource
from pgsclip.distributed import World
from pgsclip.errors import ConfigError, TrainingError
from pgsclip.training.planning import autotune as room
from pgsclip.training.planning.autotune import Settled, settle, wants_settling
from pgsclip.training.planning.memory import DoesNotFitError
from pgsclip.training.planning.trial_steps import Probed

FOUND = Probed(
    steps=3, warm=2, pairs=8, seconds=0.5, waited=0.0, late=2.0, reader_seconds=0.4, workers=2, kept=0.5,
    gflops=1.25, memory_gib=2.5, taken=3, resting=1,
)  # fmt: skip
GIB = 2**30


def config(*settings: str) -> RunConfig:
    return resolve("smoke", {}, ["engine.device=cpu", "data.samples=5000", *settings])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int | str | None]]:
    """A device of 10 GiB on which a model takes 1, and a pair 10 MiB, with every patch 20; (pairs, phase, workers)."""
    noted: list[tuple[int, int, int | str | None]] = []

    def measure(config: RunConfig, phase: int, *, only_memory: bool = False, **more: Any) -> Probed:
        pairs = config.data.pairs_per_step
        noted.append((pairs, phase, config.data.workers))
        if not only_memory:
            return replace(FOUND, pairs=pairs)
        mib = 20 if phase else 10
        if GIB + pairs * mib * 2**20 > 11 * GIB:
            raise DoesNotFitError("No room.")
        return replace(FOUND, resting=GIB, taken=GIB + pairs * mib * 2**20)

    monkeypatch.setattr(room, "probe_apart", measure)
    monkeypatch.setattr(room, "may_take_bytes", lambda device: 10 * GIB)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    return noted


def test_nothing_is_measured_unasked(asked: list[object]) -> None:
    given = config()
    assert not wants_settling(given)
    assert settle(given, World(0, 8, 0)) == Settled(given)
    assert asked == []


def test_the_largest_batch_that_fits(asked: list[tuple[int, int, int | str | None]]) -> None:
    told: list[str] = []
    settled, findings = settle(config("data.batch_size=auto", "data.workers=2"), World(), told.append)
    assert settled.data.batch_size == 896, "921 would fit, which is not tidy"
    assert settled.data.workers == 2
    assert asked == [(8, 0, 2), (128, 0, 2), (896, 0, 2)]
    assert findings == (
        "data.batch_size=auto is 896, the largest batch that fits: a run may take 10.00 GiB on cpu, with its loader "
        "processes, and steps took 1.08 GiB with 8 pairs, 2.25 GiB with 128 pairs, 9.75 GiB with 896 pairs, each in a "
        "process of its own.",
    )
    assert told == [f"measuring the memory of {size} pairs" for size in (8, 128, 896)]


def test_every_phase_must_fit(asked: list[tuple[int, int, int | str | None]]) -> None:
    phases = "phases=[{steps: 2, lr: 0.1}, {steps: 2, lr: 0.2}]"
    settled, _ = settle(config("data.batch_size=auto", phases), World())
    assert settled.data.batch_size == 448
    assert {phase for _, phase, _ in asked} == {0, 1}, "the third is as the second"


def test_a_batch_divides_over_the_parts_of_a_step_and_is_no_larger_than_an_epoch(asked: list[object]) -> None:
    settled, _ = settle(config("data.batch_size=auto", "optim.accumulation_steps=3"), World())
    assert settled.data.pairs_per_step % 24 == 0
    settled, (finding,) = settle(
        config("data.batch_size=auto", "data.samples=100", "optim.accumulation_steps=3"), World()
    )
    assert settled.data.pairs_per_step == 99
    assert finding.startswith("data.batch_size=auto is 99, all pairs of an epoch: ")
    settled, _ = settle(config("data.batch_size=auto", "data.samples=5"), World())
    assert settled.data.pairs_per_step == 5


def test_nothing_fits(asked: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "may_take_bytes", lambda device: GIB)
    with pytest.raises(
        ConfigError, match=r"^Not even 8 pairs fit into the 1\.00 GiB .* on cpu: 1\.08 GiB with 8"
    ) as said:
        settle(config("data.batch_size=auto"), World())
    for advice in (
        "more than 0.5 of the patches removed",
        "optim.accumulation_steps",
        "model.checkpoint_activations=true",
    ):
        assert advice in str(said.value)


def test_a_device_that_runs_out_of_memory_is_part_of_the_story(
    asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "may_take_bytes", lambda device: 100 * GIB)
    _, (finding,) = settle(config("data.batch_size=auto"), World())
    assert "more than there is with 2,048 pairs" in finding


@pytest.mark.parametrize(
    ("reader", "workers", "short"),
    [
        (0.1, 1, ""),
        (0.4, 1, ""),
        (0.5, 2, ""),
        (1.5, 4, ""),
        (4.0, 4, "; 10 would be needed, and there are 4 cores, so the data will set the pace"),
    ],
)
def test_as_many_loaders_as_the_steps_need(
    monkeypatch: pytest.MonkeyPatch, reader: float, workers: int, short: str
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    one = replace(FOUND, reader_seconds=reader)
    monkeypatch.setattr(room, "probe_apart", lambda config, phase, **more: one)
    settled, (finding,) = settle(config("data.workers=auto"), World())
    assert settled.data.workers == workers
    assert finding == (
        f"data.workers=auto is {workers}: one loader process makes the 8 pairs of a step in {reader:.2g} s and a step "
        f"takes 0.5 s, measured on 3 steps after 2 to warm up{short}."
    )


def test_never_more_loaders_than_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(room, "probe_apart", lambda config, phase, **more: replace(FOUND, reader_seconds=4.0))
    monkeypatch.setattr(GeneratedSource, "shards", 3)
    settled, (finding,) = settle(config("data.workers=auto"), World())
    assert settled.data.workers == 3
    assert "10 would be needed, and there are 3 shards" in finding


def test_the_loaders_are_chosen_for_the_batch_that_was_found(asked: list[tuple[int, int, int | str | None]]) -> None:
    settled, findings = settle(config("data.batch_size=auto", "data.workers=auto"), World())
    assert (settled.data.batch_size, settled.data.workers, len(findings)) == (896, 1, 2)
    assert {workers for _, _, workers in asked} == {None}, "nothing but this module sees the word"
    assert asked[-1] == (896, 0, None)


def test_several_processes_are_told_how_to_go_on(asked: list[object]) -> None:
    with pytest.raises(
        ConfigError, match=r"measured by one process, and these are 4\. Let .* so 4 times what it finds"
    ):
        settle(config("data.batch_size=auto"), World(0, 4, 0))
    assert asked == []


def test_a_mistake_of_the_steps_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: RunConfig, phase: int, *, only_memory: bool = False, **more: Any) -> Probed:
        raise TrainingError("No such masker.")

    monkeypatch.setattr(room, "probe_apart", broken)
    with pytest.raises(TrainingError, match=r"^No such masker\.$"):
        settle(config("data.batch_size=auto"), World())


def test_a_device_that_is_not_there_or_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ConfigError, match="There is no cuda device on this machine"):
        settle(config("data.batch_size=auto", "engine.device=cuda"), World())
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    with pytest.raises(ConfigError, match="is found on cuda and cpu, and this is mps; give a number"):
        settle(config("data.batch_size=auto", "engine.device=mps"), World())
