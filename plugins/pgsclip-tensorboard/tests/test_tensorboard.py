from __future__ import annotations

from pathlib import Path

from pgsclip_tensorboard import TensorboardLogger, TensorboardParams
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pgsclip.loggers.contract import RunInfo
from pgsclip.testing import check_logger


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_logger(TensorboardLogger, tmp_path)


def test_tensorboard_reads_what_was_logged_and_steps_that_came_again_only_once(tmp_path: Path) -> None:
    first = TensorboardLogger(TensorboardParams(), RunInfo(tmp_path, {}, 0))
    for step in (1, 2, 3):
        first.log({"step": step, "loss": 10.0 - step, "note": "text", "acc1": float("nan")})
    first.close()
    again = TensorboardLogger(TensorboardParams(), RunInfo(tmp_path, {}, 1))
    again.log({"step": 2, "loss": 8.5})
    again.log({"step": 2, "eval/set/acc1": 0.5})
    again.close()
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(found.Tags()["scalars"]) == ["eval/set/acc1", "train/loss"]
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [(1, 9.0), (2, 8.5)]
