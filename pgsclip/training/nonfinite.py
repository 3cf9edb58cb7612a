"""What becomes of a run whose loss or gradient is not a finite number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pgsclip.config.schema import OptimConfig
from pgsclip.distributed import is_true_on_any_rank
from pgsclip.errors import TrainingError
from pgsclip.training.saved.checkpoint import CheckpointFolder
from pgsclip.training.saved.run_folder import RunFolder

_HOPELESS = 25
"""Steps in a row without a finite gradient after which leaving them out is no way out."""


@dataclass
class NonFiniteGuard:
    """Ends such a run, or lets it go on without the update, as `optim.on_nonfinite` says."""

    optim: OptimConfig
    rank: int
    folder: RunFolder
    checkpoints: CheckpointFolder
    say: Callable[[str], None]
    _in_a_row: int = 0

    def check(self, bad: Mapping[int, Sequence[str]], looked_at: int, last_step: int) -> None:
        """Write down the samples of bad steps, and decide with all ranks. Called by all ranks.

        A gradient is averaged over ranks, so that one bad sample spoils the step of all of them, but a loss that is not
        finite shows on its own rank only: who saw nothing must end as well, and not wait for one that has ended.

        Args:
            bad: the samples of each step that was not finite on this rank.
            looked_at: how many steps were looked at.
            last_step: the last one of these, from 1.

        Raises:
            TrainingError: on all ranks, where the run is to end.
        """
        if not is_true_on_any_rank(bool(bad)):
            self._in_a_row = 0
            return
        self.folder.save_offending_batches(self.rank, bad)
        self._in_a_row = self._in_a_row + looked_at if len(bad) == looked_at else 0
        first = min(bad, default=last_step)
        what = f"Loss or gradient was not a finite number at step {first}"
        where = f"the samples of that step are named in {self.folder.path / 'nonfinite'}"
        hopeless = self._in_a_row >= _HOPELESS
        if self.optim.on_nonfinite == "skip" and not hopeless:
            self.say(f"{what}; that update was left out, {where}.")
            return
        last = self.checkpoints.last()
        again = f", {self._in_a_row} times in a row" if hopeless else ""
        raise TrainingError(
            f"{what}{again}; {where}. "
            f"{f'The last good checkpoint is {last}' if last else 'There is no checkpoint yet'}. "
            f"Lower optim.lr (now {self.optim.lr:g}), lengthen optim.warmup_steps, set optim.clip_grad_norm=1, or use "
            f"engine.precision=fp32; optim.on_nonfinite=skip goes on without such updates."
        )
