"""What could not be read, counted by cause and by shard; above a share of it the run stops."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pgsclip.data.batch import Batch, Fault
from pgsclip.errors import DataError
from pgsclip.files import write_atomically

ENOUGH = 200
"""Samples read before a share of bad ones means something."""


class FaultLedger:
    """Counts of one process."""

    def __init__(self, largest_share: float) -> None:
        self._largest_share = largest_share
        self._read = 0
        self._causes: Counter[str] = Counter()
        self._shards: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, batch: Batch) -> None:
        """Count the faults that a batch brings along.

        Raises:
            DataError: more than the allowed share of what was read cannot be used; names the worst shard.
        """
        self._read += batch.read
        for fault in batch.faults:
            self._causes[fault.cause] += 1
            self._shards[fault.shard] += 1
            self._examples.setdefault(fault.cause, _place(fault))
        bad = self._causes.total()
        if self._read >= ENOUGH and bad > self._largest_share * self._read:
            worst, most = self._shards.most_common(1)[0]
            causes = ", ".join(f"{count} x {cause}" for cause, count in self._causes.most_common())
            raise DataError(
                f"{bad} of {self._read} samples read so far cannot be used ({causes}); most of them, {most}, are in "
                f"{worst}. Repair or leave out that file, or allow more with --set data.max_bad_share "
                f"(now {self._largest_share:g})."
            )

    def state(self) -> dict[str, Any]:
        """The counts, for a checkpoint or another process."""
        return {
            "read": self._read,
            "by_cause": dict(self._causes),
            "by_shard": dict(self._shards),
            "first_of_each_cause": dict(self._examples),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Add the counts of another ledger, or of this one before a restart."""
        self._read += state.get("read", 0)
        self._causes.update(state.get("by_cause", {}))
        self._shards.update(state.get("by_shard", {}))
        self._examples = {**state.get("first_of_each_cause", {}), **self._examples}

    @classmethod
    def joined(cls, states: Iterable[Mapping[str, Any]]) -> FaultLedger:
        """The counts of several processes together."""
        whole = cls(largest_share=1.0)
        for state in states:
            whole.load(state)
        return whole

    def write(self, path: Path) -> None:
        """The counts as JSON, if there is anything to say."""
        if not self._causes:
            return
        content = self.state()
        for counts in ("by_cause", "by_shard"):
            content[counts] = dict(sorted(content[counts].items(), key=lambda item: -item[1]))
        write_atomically(path, json.dumps(content, indent=2) + "\n")


def _place(fault: Fault) -> str:
    place = f"{fault.shard}: {fault.key}" if fault.key else fault.shard
    return f"{place} ({fault.detail})" if fault.detail else place
