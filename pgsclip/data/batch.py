"""The values that travel from the loader to the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from torch import Tensor


class Position(NamedTuple):
    """The place of a loader worker after a batch: enough to go on exactly from there."""

    worker: int
    """Logical number of the worker within this process."""
    epoch: int
    """Pass of this worker over its share of the data, from 0."""
    taken: int
    """Samples taken in this pass, counted after shuffling and before decoding."""


@dataclass(frozen=True)
class Fault:
    """One sample or shard that could not be used."""

    cause: str
    """Short and countable: `corrupt image`, `no caption`, `truncated tar` ..."""
    shard: str
    """The tar, table or folder that it came from."""
    key: str
    """The sample's own name, empty when the whole shard is meant."""
    detail: str = ""


@dataclass
class Batch:
    """B pairs, ready for the device."""

    images: Tensor
    """(B, 3, H, W) uint8 for training, float32 as the tower wants them for evaluation; (B, V, 3, H, W) where there are
    V views of each."""
    texts: Tensor
    """(B, context_length) int64 token ids, zero-padded."""
    lengths: Tensor
    """(B,) int64 on the CPU: tokens up to and including the end-of-text token."""
    keys: list[str]
    """(B,) sample names, for the record when something goes wrong."""
    position: Position
    faults: list[Fault] = field(default_factory=list)
    """What could not be used since the last batch of the same worker."""
    read: int = 0
    """Samples read since the last batch of the same worker, usable or not."""

    def pin_memory(self) -> Batch:
        """Asked for by the loader, which leaves dataclasses alone otherwise; copies to the GPU then run beside it."""
        return replace(self, images=self.images.pin_memory(), texts=self.texts.pin_memory())
