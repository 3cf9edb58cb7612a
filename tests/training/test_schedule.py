from __future__ import annotations

import pytest

from pgsclip.config.phases import Phase
from pgsclip.config.resolve import resolve
from pgsclip.training.schedule import Due, Schedule, plan_schedule

NOTHING = Due(check=False, log=False, save=False, stop=False, evaluate=False)


def schedule(*settings: str, check_always: bool = False) -> Schedule:
    """Steps 4 to 9 of a run of 20."""
    given = ["log.every_steps=4", "checkpoint.every_steps=null", "evaluate.every_steps=null", *settings]
    return plan_schedule(Phase(1, 3, 9, resolve(None, {}, given)), 20, check_always=check_always)


def test_rows_are_due_at_every_multiple_and_everything_at_the_end_of_the_phase() -> None:
    found = {step: schedule().after(step) for step in range(4, 10)}
    assert [step for step, due in found.items() if due.log] == [4, 8, 9]
    assert found[5] == NOTHING
    assert found[4] == NOTHING._replace(check=True, log=True)
    assert found[9] == Due(check=True, log=True, save=True, stop=False, evaluate=True)


def test_what_is_evaluated_is_saved_and_what_is_saved_is_checked() -> None:
    due = schedule("evaluate.every_steps=5").after(5)
    assert due == NOTHING._replace(check=True, save=True, evaluate=True)
    assert schedule("checkpoint.every_steps=7").after(7) == NOTHING._replace(check=True, save=True)


@pytest.mark.parametrize(("step", "stop"), [(5, True), (9, True), (20, False)])
def test_whoever_asks_is_heard_unless_the_run_is_done(step: int, stop: bool) -> None:
    due = schedule().after(step, asked_to_stop=True)
    assert (due.stop, due.save, due.check) == (stop, True, True)


def test_where_a_look_costs_nothing_every_step_is_checked() -> None:
    assert schedule(check_always=True).after(5) == NOTHING._replace(check=True)
