"""The batches that this rank trains on, and how far it has come in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pgsclip.config.schema import RunConfig
from pgsclip.data.batch import Batch, Position
from pgsclip.data.faults import FaultLedger
from pgsclip.training.saved.rank_state import RankState


@dataclass
class Feed:
    """Batches in the order of the run; where the rank stands in them; what could not be read."""

    batches: Iterator[Batch]
    config: RunConfig
    epoch_size: int
    """Pairs of one pass over the data, on all ranks."""
    ledger: FaultLedger
    state: RankState
    """After the last step that was made."""
    _positions: dict[int, Position] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._positions = {position.worker: position for position in self.state.positions}

    def fetch(self) -> tuple[list[Batch], float]:
        """Take the parts of one step.

        Returns:
            The batches, and the seconds that they were waited for.

        Raises:
            DataError: too many samples cannot be used.
        """
        began = time.perf_counter()
        batches = [next(self.batches) for _ in range(self.config.optim.accumulation_steps)]
        waited = time.perf_counter() - began
        for batch in batches:
            self.ledger.add(batch)
        return batches, waited

    def advance(self, batches: list[Batch]) -> None:
        """Count the step that was made with these batches.

        Only now, and not when they are fetched: loader workers are ahead of the training, and a checkpoint must name
        the pairs that the weights have seen.
        """
        for batch in batches:
            self._positions[batch.position.worker] = batch.position
        samples = self.state.samples + self.config.data.pairs_per_step
        self.state = replace(
            self.state,
            step=self.state.step + 1,
            samples=samples,
            epoch=samples / self.epoch_size,
            batches=self.state.batches + len(batches),
            positions=tuple(self._positions.values()),
        )

    def state_to_save(self) -> RankState:
        """Where the rank stands, with what could not be read so far."""
        return replace(self.state, faults=self.ledger.state())
