"""What is due after a step of a phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pgsclip.config.phases import Phase


class Due(NamedTuple):
    """What is done after a step, in this order."""

    check: bool
    """Look whether the losses and gradients since the last look were finite."""
    log: bool
    save: bool
    stop: bool
    """End the run here, before its last step, as somebody asked for."""
    evaluate: bool


@dataclass(frozen=True)
class Schedule:
    """When a phase logs, saves and evaluates."""

    end: int
    """The last step of the phase: it is always logged, saved and evaluated."""
    total: int
    """The last step of the run: who asks to stop with it changes nothing."""
    log_every: int
    save_every: int | None
    evaluate_every: int | None
    check_always: bool
    """Look at every step, as a look costs nothing: no device to wait for, and no other process."""

    def after(self, step: int, *, asked_to_stop: bool = False) -> Due:
        """
        Args:
            step: steps of the run that are done.
            asked_to_stop: somebody, on any rank, wants the run to end.
        """
        log = self._is_multiple(step, self.log_every)
        evaluate = self._is_multiple(step, self.evaluate_every)
        # Before an evaluation too, so that whatever goes wrong there costs no training.
        save = self._is_multiple(step, self.save_every) or evaluate or asked_to_stop
        return Due(
            check=log or save or self.check_always,
            log=log,
            save=save,
            stop=asked_to_stop and step < self.total,
            evaluate=evaluate,
        )

    def _is_multiple(self, step: int, every: int | None) -> bool:
        return step == self.end or (every is not None and step % every == 0)


def plan_schedule(phase: Phase, total: int, *, check_always: bool) -> Schedule:
    """Read the schedule of a phase from its config."""
    config = phase.config
    return Schedule(
        end=phase.end,
        total=total,
        log_every=config.log.every_steps,
        save_every=config.checkpoint.every_steps,
        evaluate_every=config.evaluate.every_steps,
        check_always=check_always,
    )
