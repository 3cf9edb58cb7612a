from __future__ import annotations

import math
from typing import Any

import pytest

from pgsclip.training.diagnosis import Diagnosis

GUESS = math.log(256)


def inspect(rows: list[dict[str, float]], **given: Any) -> list[tuple[int, str]]:
    """(step, finding) of rows that say no more than they must."""
    diagnosis = Diagnosis(**{"contrast": 256, "largest_scale": 100.0, "warmup_steps": 5, **given})
    usual = {"loss": 3.0, "logit_scale": 20.0, "image_similarity": 0.2, "data_wait_share": 0.02, "lr": 0.01}
    found = []
    for step, row in enumerate(rows, 1):
        found += [(step, finding) for finding in diagnosis.inspect({**usual, "step": step, **row})]
    return found


def test_a_healthy_run_is_not_talked_about() -> None:
    assert inspect([{"loss": GUESS * 0.97**step} for step in range(100)]) == []


def test_a_loss_that_stays_where_guessing_is_said_once_after_warm_up() -> None:
    ((step, finding),) = inspect([{"loss": GUESS + 0.01 * (-1) ** step} for step in range(60)])
    assert step == 21
    assert finding.startswith("The loss stays at ln(batch) = 5.55, what guessing costs: nothing is learned.")
    assert "(now 0.01)" in finding
    assert inspect([{"loss": GUESS} for _ in range(60)], warmup_steps=20)[0][0] == 41
    assert inspect([{"loss": GUESS} for _ in range(60)], contrast=None) == []


def test_each_jump_of_the_loss_is_news() -> None:
    rows = [{"loss": 3 + 0.05 * (-1) ** step} for step in range(50)]
    rows[20]["loss"] = rows[40]["loss"] = 6.0
    found = inspect(rows)
    assert [step for step, _ in found] == [21, 41]
    assert found[0][1].startswith("The loss jumped from about 3.00 to 6.00 at step 21.")


def test_features_that_are_all_the_same_explain_a_loss_that_is_stuck() -> None:
    ((step, finding),) = inspect([{"loss": GUESS, "image_similarity": 0.995} for _ in range(40)])
    assert step == 11
    assert finding.startswith("All images of a batch have nearly the same features (mean cosine 0.995)")


@pytest.mark.parametrize(("scale", "said"), [(99.0, 0), (99.95, 1), (100.0, 1)])
def test_a_logit_scale_at_its_cap(scale: float, said: int) -> None:
    found = inspect([{"logit_scale": scale}] * 3)
    assert len(found) == said
    assert all("The logit scale is at its cap 100." in finding for _, finding in found)


def test_a_run_that_waits_for_its_data() -> None:
    ((step, finding),) = inspect([{"data_wait_share": 0.6}] * 30)
    assert step == 11
    assert finding.startswith("60% of the time is spent waiting for data. Raise data.workers")
    assert inspect([{"data_wait_share": 0.9 if step % 4 == 0 else 0.1} for step in range(40)]) == []
