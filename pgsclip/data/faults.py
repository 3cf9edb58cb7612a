"""What could not be read, counted by cause and by shard; above a share of it the run stops."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pgsclip.data.batch import Batch, Fault
from pgsclip.errors import DataError

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
                f"{worst}. Repair or leave out that file, or allow more with --set data.bad_share "
                f"(now {self._largest_share:g})."
            )

    def write(self, path: Path) -> None:
        """The counts as JSON, if there is anything to say."""
        if not self._causes:
            return
        content = {
            "read": self._read,
            "by_cause": dict(self._causes.most_common()),
            "by_shard": dict(self._shards.most_common()),
            "first_of_each_cause": self._examples,
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _place(fault: Fault) -> str:
    place = f"{fault.shard}: {fault.key}" if fault.key else fault.shard
    return f"{place} ({fault.detail})" if fault.detail else place
