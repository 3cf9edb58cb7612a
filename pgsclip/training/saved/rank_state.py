"""Where one rank of a run stands, as its checkpoints have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pgsclip.data.batch import Position


@dataclass(frozen=True)
class RankState:
    """Steps, pairs and place in the data. The names of the fields are the keys of `rank-00000.json`."""

    step: int = 0
    """Steps done."""
    samples: int = 0
    """Pairs seen by all ranks together."""
    epoch: float = 0.0
    """Passes over the data."""
    streams: int = 1
    """Loader workers of this rank."""
    batches: int = 0
    """Batches taken since the workers were laid out as they are: it says whose turn is next."""
    positions: tuple[Position, ...] = ()
    """The place of each loader worker of this rank that has given a batch."""
    faults: dict[str, Any] = field(default_factory=dict)
    """Counts of what could not be read so far."""

    def positions_of_all_workers(self) -> list[Position]:
        """The place of each loader worker, also of those that have not given a batch yet."""
        known = {position.worker: position for position in self.positions}
        return [known.get(worker, Position(worker, 0, 0)) for worker in range(self.streams)]
