from __future__ import annotations

import math
import time

import pytest
import torch

from pgsclip.training.features import StepReport
from pgsclip.training.meter import Meter

CPU = torch.device("cpu")
FINE = torch.tensor(False)


def report(kept: float = 0.5) -> StepReport:
    return StepReport(torch.tensor(0.25), torch.tensor([14.0]), torch.tensor(0.3), kept)


def add(
    meter: Meter, step: int, loss: float, kept: float = 0.5, *, waited: float = 0.0, left_out: torch.Tensor = FINE
) -> None:
    keys = [f"sample {step}"]
    meter.add(
        step, torch.tensor(loss), report(kept), left_out=left_out, keys=keys, samples=8, flops=50.0, waited=waited
    )


def test_only_what_the_clock_tells_is_an_average_since_the_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    meter = Meter(CPU, rate=100.0)
    for step, (loss, kept) in enumerate([(3.0, 0.5), (2.0, 0.75)], start=1):
        now[0] += 2
        add(meter, step, loss, kept, waited=0.5)
    row = meter.row()
    assert row.pop("memory_gib") > 0
    expected = {
        "loss": 2.0,
        "acc1": 0.25,
        "logit_scale": 14.0,
        "image_similarity": 0.3,
        "patches_kept": 0.75,
        "samples_per_s": 4.0,
        "mfu": 0.25,
        "data_wait_share": 0.25,
    }
    assert row == pytest.approx(expected)
    now[0] += 1
    add(meter, 3, 1.0, 1.0)
    again = meter.row()
    assert (again["patches_kept"], again["samples_per_s"], again["data_wait_share"], again["mfu"]) == (
        1.0,
        8.0,
        0.0,
        0.5,
    )


def test_an_evaluation_takes_no_time_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    meter = Meter(CPU, rate=100.0)
    with meter.paused():
        now[0] += 50
    now[0] += 2
    add(meter, 1, 1.0, waited=1.0)
    row = meter.row()
    assert (row["samples_per_s"], row["mfu"], row["data_wait_share"]) == (4.0, 0.25, 0.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_steps_whose_loss_or_gradient_is_no_number_are_told_once_with_their_samples(bad: float) -> None:
    meter = Meter(CPU, rate=100.0)
    add(meter, 1, 1.0)
    assert meter.take_nonfinite() == ({}, 1)
    add(meter, 2, bad)
    add(meter, 3, 1.0, left_out=torch.tensor(True))
    add(meter, 4, 1.0)
    assert meter.take_nonfinite() == ({2: ["sample 2"], 3: ["sample 3"]}, 3)
    assert meter.take_nonfinite() == ({}, 0)


def test_a_loss_with_a_graph_is_not_held_on_to() -> None:
    meter = Meter(CPU, rate=100.0)
    loss = torch.ones((), requires_grad=True) * 2
    meter.add(1, loss, report(), left_out=FINE, keys=[], samples=8, flops=50.0, waited=0.0)
    assert not meter._loss.requires_grad


def test_a_model_that_nobody_could_count_has_no_utilisation() -> None:
    meter = Meter(CPU, rate=100.0)
    for step in (1, 2):
        meter.add(
            step, torch.tensor(1.0), report(), left_out=FINE, keys=[], samples=8, flops=None if step == 1 else 1.0,
            waited=0.0,
        )  # fmt: skip
    assert "mfu" not in meter.row()
    meter.add(3, torch.tensor(1.0), report(), left_out=FINE, keys=[], samples=8, flops=50.0, waited=0.0)
    assert "mfu" in meter.row()
