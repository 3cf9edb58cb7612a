"""One pass over a work of a source in random order, from any place in it, always the same one."""

from __future__ import annotations

from collections.abc import Iterator

from pgsclip.data.batch import Fault
from pgsclip.data.source import PairSource, Raw, WorkerPass


def shuffled(source: PairSource, work: WorkerPass, size: int, skip: int) -> Iterator[Raw | Fault]:
    """Yield one pass in random order without its first `skip` items; a buffer of `size` where the source has none."""
    if source.shuffled:
        yield from source.read(work, skip)
        return
    for number, item in enumerate(_buffered(source.read(work), work, size)):
        if number >= skip:
            yield item


def _buffered(items: Iterator[Raw | Fault], work: WorkerPass, size: int) -> Iterator[Raw | Fault]:
    chance = work.chance()
    buffer: list[Raw | Fault] = []
    for item in items:
        if len(buffer) < size:
            buffer.append(item)
            continue
        place = chance.randrange(size)
        buffer[place], item = item, buffer[place]
        yield item
    chance.shuffle(buffer)
    yield from buffer
