"""Sources of pairs, before anything is decoded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from PIL import Image

from pgsclip.data.batch import Fault
from pgsclip.seeding import derive


class Raw(NamedTuple):
    """One pair whose picture is not opened yet."""

    shard: str
    key: str
    caption: str
    picture: Callable[[], Image.Image]
    """Opens the picture; may raise what Pillow raises."""
    member: str = ""
    """Name of the picture within its tar; empty where the key is its file already."""


@dataclass(frozen=True)
class WorkerPass:
    """One pass of one loader worker: number `number` of `count` equal workers over all ranks, in pass `epoch`."""

    number: int
    count: int
    epoch: int
    seed: int
    on_shard: Callable[[str], None] = field(default=lambda _: None, compare=False)
    """Called with the name of each shard before it is opened, so that a worker that hangs can be named."""

    def share(self, size: int) -> list[int]:
        """Draw this worker's numbers out of range(size): together all workers take each number once a pass."""
        order = list(range(size))
        random.Random(derive(self.seed, "order", self.epoch)).shuffle(order)
        return order[self.number :: self.count]

    def chance(self) -> random.Random:
        """Build the generator of this worker's shuffle buffer in this pass."""
        return random.Random(derive(self.seed, "shuffle", self.epoch, self.number, self.count))


@runtime_checkable
class PairSource(Protocol):
    """Pairs that can be read as often as wanted, each time in the order that a work asks for."""

    size: int
    """Pairs in one pass."""
    shards: int | None
    """Files that are read as a whole; None when every pair can be reached by itself."""
    shuffled: bool
    """True when `read` is in random order already and needs no shuffle buffer."""
    description: str

    def read(self, work: WorkerPass, skip: int = 0) -> Iterator[Raw | Fault]:
        """Yield one pass of one worker without its first `skip` items; a Fault stands for what cannot be used."""

    def read_all(self) -> Iterator[Raw | Fault]:
        """Yield every pair once, in order."""
