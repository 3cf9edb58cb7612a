"""The loop with everything around it replaced by something that only takes notes."""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from pgsclip.config.phases import Phase
from pgsclip.config.resolve import resolve
from pgsclip.data.batch import Batch, Fault, Position
from pgsclip.data.faults import FaultLedger
from pgsclip.distributed import World
from pgsclip.errors import DataError, TrainingError, UnfinishedError
from pgsclip.models.flops import Curve, PairFlops
from pgsclip.training.diagnosis import Diagnosis
from pgsclip.training.display import Display
from pgsclip.training.engines.base import Engine
from pgsclip.training.features import StepContext, StepReport
from pgsclip.training.feed import Feed
from pgsclip.training.loop import Loop
from pgsclip.training.meter import Meter
from pgsclip.training.mfu import Arithmetic
from pgsclip.training.monitor import Monitor
from pgsclip.training.nonfinite import NonFiniteGuard
from pgsclip.training.optimizer import learning_rate
from pgsclip.training.run_log import RunLog
from pgsclip.training.saved.checkpoint import CheckpointFolder
from pgsclip.training.saved.rank_state import RankState
from pgsclip.training.saved.run_folder import RunFolder
from pgsclip.training.saver import Saver
from pgsclip.training.schedule import plan_schedule
from pgsclip.training.step import Stepper
from pgsclip.training.stop import StopRequest


@dataclass
class Notes(Engine):
    """An engine and an evaluation that write down what they are asked for."""

    losses: dict[int, float] = field(default_factory=dict)
    gradients: tuple[int, ...] = ()
    """Steps whose gradient is not finite."""
    told: list[str] = field(default_factory=list)
    views: list[tuple[float, list[float]]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    saved: list[RankState] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    task: Any = None

    def forward(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext
    ) -> tuple[Tensor, StepReport]:
        self.views.append((context.progress, torch.rand(2, generator=context.generator).tolist()))
        loss = torch.tensor(self.losses.get(len(self.views), 1.0))
        return loss, StepReport(torch.tensor(0.5), torch.tensor([14.0]), torch.tensor(0.1), 0.5)

    def backward(self, loss: Tensor) -> None:
        self.told.append("backward")

    def step(self, lr: float) -> Tensor:
        self.rates.append(lr)
        self.told.append("step")
        return torch.tensor(len(self.views) in self.gradients)

    def evaluate(self) -> dict[str, float]:
        self.told.append("evaluate")
        return {"set/acc1": 0.25}


class NotedCheckpoints(CheckpointFolder):
    """Writes nothing but a note."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def save(self, engine: Engine, state: RankState) -> Path:
        self._notes.saved.append(state)
        self._notes.told.append(f"save {state.step}")
        return Path(f"step-{state.step}")

    def last(self) -> Path | None:
        saved = self._notes.saved
        return Path(f"step-{saved[-1].step}") if saved else None


def batches(faults: int = 0) -> Iterator[Batch]:
    """Two loader workers in turn."""
    number = 0
    while True:
        position = Position(number % 2, 0, 4 * (number // 2 + 1))
        bad = [Fault("corrupt image", "a.tar", str(i)) for i in range(faults)]
        yield Batch(torch.zeros(4, 3, 8, 8), torch.ones(4, 4, dtype=torch.long), torch.ones(4, dtype=torch.long),
                    [f"{number}.{i}" for i in range(4)], position, bad, 4 + faults)  # fmt: skip
        number += 1


def loop(
    folder: Path,
    notes: Notes,
    *settings: str,
    total: int = 6,
    done: int = 0,
    faults: int = 0,
    world: World = World(),  # noqa: B008 - a tuple
    checkpoints: CheckpointFolder | None = None,
    countable: bool = True,
    phase: tuple[int, int, int] | None = None,
) -> Loop:
    config = resolve(None, {}, ["data.batch_size=4", "log.every_steps=2", *settings])
    now = Phase(*(phase or (0, 0, total)), config)
    kept = checkpoints or NotedCheckpoints(notes)
    log = RunLog(RunFolder(folder), world, Display(total, console=Console(file=io.StringIO())))
    pair = PairFlops(Curve(0, 1, 0), Curve(0, 2, 0)) if countable else None
    arithmetic = Arithmetic(pair, patches=8, views=1, tokens=None, rate=1.0)
    return Loop(
        phase=now,
        schedule=plan_schedule(now, total, check_always=world.size == 1),
        stepper=Stepper(notes, config.seed, world.rank, total),
        feed=Feed(batches(faults), config, 8, FaultLedger(0.1), RankState(done, 4 * done, done / 2)),
        monitor=Monitor(
            Meter(notes.device, arithmetic.rate),
            arithmetic,
            Diagnosis(contrast=4, largest_scale=100.0, warmup_steps=0),
            NonFiniteGuard(config.optim, world.rank, log.folder, kept, log.say),
            config.data.pairs_per_step,
        ),
        log=log,
        saver=Saver(config, total, world, log.folder, kept),
        evaluate=notes.evaluate,
        stop=StopRequest(),
    )


def said(made: Loop) -> str:
    text: str = made.log.display._console.file.getvalue()
    return text


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_progress_rate_and_position_of_every_step(tmp_path: Path) -> None:
    notes = Notes()
    made = loop(tmp_path, notes, "optim.warmup_steps=2")
    done = made.run()
    assert [progress for progress, _ in notes.views] == [step / 6 for step in range(6)]
    assert notes.rates == [learning_rate(step, 6, made.phase.config.optim) for step in range(6)]
    assert done == RankState(6, 24, 3.0, batches=6, positions=(Position(0, 0, 12), Position(1, 0, 12)))
    assert notes.told[:4] == ["backward", "step", "backward", "step"]


def test_rows_are_written_when_due_and_at_the_last_step(tmp_path: Path) -> None:
    loop(tmp_path, Notes(), total=5).run()
    assert [row["step"] for row in rows(tmp_path)] == [2, 4, 5, 5]
    assert rows(tmp_path)[0].items() >= {"samples": 8, "epoch": 1.0, "loss": 1.0, "patches_kept": 0.5}.items()
    assert rows(tmp_path)[-1] == {"step": 5, "eval/set/acc1": 0.25}


def test_a_model_that_cannot_be_counted_trains_and_its_rows_have_no_utilisation(tmp_path: Path) -> None:
    made = loop(tmp_path, Notes(), countable=False)
    assert made.run().step == 6
    assert [("loss" in row, "mfu" in row) for row in rows(tmp_path)[:3]] == [(True, False)] * 3


def test_utilisation_is_of_the_steps_and_not_of_what_comes_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 2 s for 4 pairs of 4 patches and 1 token: 3 x (4 x 4 + 4 x 2) FLOPs; all else takes 50 s."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class SlowToSave(NotedCheckpoints):
        def save(self, engine: Engine, state: RankState) -> Path:
            now[0] += 50
            return super().save(engine, state)

    class Slow(Notes):
        def backward(self, loss: Tensor) -> None:
            now[0] += 2

        def evaluate(self) -> dict[str, float]:
            now[0] += 50
            return {"set/acc1": 0.25}

    notes = Slow()
    settings = ("checkpoint.every_steps=1", "evaluate.every_steps=1")
    loop(tmp_path, notes, *settings, total=4, done=1, checkpoints=SlowToSave(notes)).run()
    found = [row for row in rows(tmp_path) if "mfu" in row]
    assert [(row["mfu"], row["samples_per_s"]) for row in found] == [(72 / 2, 4 / 2)] * 2


def test_what_is_trained_is_saved_before_it_is_evaluated(tmp_path: Path) -> None:
    notes = Notes()
    loop(tmp_path, notes, "checkpoint.every_steps=4", "evaluate.every_steps=4").run()
    told = [word for word in notes.told if word.startswith(("save", "eval"))]
    assert told == ["save 4", "evaluate", "save 6", "evaluate"]


def test_an_evaluation_that_fails_costs_no_training(tmp_path: Path) -> None:
    def fail() -> dict[str, float]:
        raise DataError("gone")

    notes = Notes()
    made = loop(tmp_path, notes)
    made.evaluate = fail
    with pytest.raises(DataError, match="gone"):
        made.run()
    assert [done.step for done in notes.saved] == [6]


def test_a_resumed_run_does_the_steps_that_are_missing_with_their_own_chance(tmp_path: Path) -> None:
    whole, rest = Notes(), Notes()
    loop(tmp_path, whole).run()
    loop(tmp_path, rest, done=4).run()
    assert rest.views == whole.views[4:]
    assert whole.views[0][1] != whole.views[1][1]


def test_a_finished_run_that_goes_on_is_evaluated_again(tmp_path: Path) -> None:
    notes = Notes()
    assert loop(tmp_path, notes, done=6).run().step == 6
    assert notes.told == ["evaluate"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run_at_its_step(tmp_path: Path, bad: float) -> None:
    notes = Notes(losses={5: bad})
    made = loop(tmp_path, notes, "checkpoint.every_steps=2", "optim.lr=0.5", total=20)
    with pytest.raises(TrainingError) as caught:
        made.run()
    assert str(caught.value).startswith(
        f"Loss or gradient was not a finite number at step 5; the samples of that step are named in "
        f"{tmp_path / 'nonfinite'}. The last good checkpoint is step-4."
    )
    assert "Lower optim.lr (now 0.5)" in str(caught.value)
    assert len(notes.views) == 5
    assert [row["step"] for row in rows(tmp_path)] == [2, 4]


def test_where_every_step_is_not_looked_at_it_stops_before_the_next_row_and_checkpoint(tmp_path: Path) -> None:
    notes = Notes(losses={5: math.nan})
    # as if there were another process: looking means waiting for each other
    made = loop(tmp_path, notes, "checkpoint.every_steps=3", "log.every_steps=4", total=20, world=World(0, 2, 0))
    with pytest.raises(TrainingError, match=r"at step 5; .* The last good checkpoint is step-3"):
        made.run()
    assert len(notes.views) == 6
    assert [done.step for done in notes.saved] == [3]


def test_the_clock_saves_at_rows_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes()
    made = loop(tmp_path, notes, "checkpoint.every_minutes=1", total=9)
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 25 * len(notes.views))
    made.saver._saved_at = began
    made.run()
    assert [done.step for done in notes.saved] == [4, 8, 9]


def test_samples_that_cannot_be_used_are_written_down_and_stop_the_run_when_they_are_many(tmp_path: Path) -> None:
    made = loop(tmp_path, Notes(), total=1000, faults=1)
    with pytest.raises(
        DataError, match=r"40 of 200 samples read so far cannot be used .*most of them, 40, are in a.tar"
    ):
        made.run()
    assert json.loads((tmp_path / "faults.json").read_text())["by_shard"] == {"a.tar": 38}


def test_a_process_that_does_not_lead_writes_nothing(tmp_path: Path) -> None:
    loop(tmp_path, Notes(), world=World(1, 2, 1)).run()
    assert list(tmp_path.iterdir()) == []


def test_a_gradient_that_is_no_number_is_stepped_over_when_that_is_wanted(tmp_path: Path) -> None:
    notes = Notes(gradients=(3,), losses={4: math.nan})
    made = loop(tmp_path, notes, "optim.on_nonfinite=skip")
    assert made.run().step == 6
    for step in (3, 4):
        kept = json.loads((tmp_path / f"nonfinite/step-{step:08d}-rank-00000.json").read_text())
        assert kept == {"step": step, "rank": 0, "keys": [f"{step - 1}.{i}" for i in range(4)]}
        assert f"not a finite number at step {step}; that update was left out" in said(made)


def test_stepping_over_everything_is_no_way_out(tmp_path: Path) -> None:
    made = loop(tmp_path, Notes(gradients=tuple(range(3, 100))), "optim.on_nonfinite=skip", total=100)
    with pytest.raises(TrainingError, match=r"at step 27, 25 times in a row; .* Lower optim.lr"):
        made.run()


def test_whoever_asks_to_stop_finds_everything_saved(tmp_path: Path) -> None:
    notes = Notes()
    made = loop(tmp_path, notes, total=9)
    made.stop._signal = "SIGTERM"
    with pytest.raises(UnfinishedError, match=r"by SIGTERM after step 1 of 9; everything .* --resume") as caught:
        made.run()
    assert caught.value.exit_code == 75
    assert [done.step for done in notes.saved] == [1]
    assert "evaluate" not in notes.told


def test_whoever_asks_while_it_is_evaluated_waits_for_no_further_step(tmp_path: Path) -> None:
    notes = Notes()
    made = loop(tmp_path, notes, "evaluate.every_steps=4", total=9)

    def asked() -> dict[str, float]:
        made.stop._signal = "SIGTERM"
        return notes.evaluate()

    made.evaluate = asked
    with pytest.raises(UnfinishedError, match=r"by SIGTERM after step 4 of 9; everything"):
        made.run()
    assert [one for one in notes.told if " " in one or one == "evaluate"] == ["save 4", "evaluate"]


@pytest.mark.parametrize(("step", "told"), [(3, ["save 4"]), (4, ["evaluate", "save 6"])])
def test_an_evaluation_that_was_broken_off_comes_first(tmp_path: Path, step: int, told: list[str]) -> None:
    notes = Notes()
    loop(tmp_path, notes, "evaluate.every_steps=4", done=step).run()
    assert [one for one in notes.told if "save" in one or one == "evaluate"][: len(told)] == told
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "eval/set/acc1" in row] == [4, 6]
    again = Notes()
    loop(tmp_path, again, "evaluate.every_steps=4", done=4).run()
    assert again.told.count("evaluate") == 1  # the one after the last step; that after the fourth is written down
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) > len(rows)


def test_a_request_that_comes_with_the_last_step_changes_nothing(tmp_path: Path) -> None:
    notes = Notes()
    made = loop(tmp_path, notes, total=1)
    made.stop._signal = "SIGTERM"
    assert made.run().step == 1
    assert notes.told[-2:] == ["save 1", "evaluate"]


def test_rates_of_a_later_phase_start_anew_and_progress_goes_on(tmp_path: Path) -> None:
    notes = Notes()
    made = loop(tmp_path, notes, "optim.warmup_steps=2", total=10, done=4, phase=(1, 4, 8))
    made.run()
    assert notes.rates == [learning_rate(step, 4, made.phase.config.optim) for step in range(4)]
    assert [progress for progress, _ in notes.views] == [0.4, 0.5, 0.6, 0.7]
    assert notes.saved[-1].step == 8


def test_findings_are_said_once(tmp_path: Path) -> None:
    made = loop(tmp_path, Notes(losses=dict.fromkeys(range(100), math.log(4))), "log.every_steps=1", total=40)
    made.run()
    assert said(made).count("The loss stays at ln(batch) = 1.39") == 1


def test_rows_are_on_the_disk_before_a_checkpoint_is_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()

    def flush(handle: int) -> None:
        metrics = tmp_path / "metrics.jsonl"
        assert os.path.samestat(os.fstat(handle), metrics.stat())
        steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
        notes.told.append(f"rows up to {steps[-1]} flushed")

    monkeypatch.setattr(os, "fsync", flush)
    loop(tmp_path, notes, "checkpoint.every_steps=4").run()
    told = [one for one in notes.told if one.startswith(("save", "rows"))]
    assert told == ["rows up to 4 flushed", "save 4", "rows up to 6 flushed", "save 6"]
