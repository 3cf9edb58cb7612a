"""Where to go on when the data is dealt out to another number of readers than before."""

from __future__ import annotations

from collections.abc import Sequence

from pgsclip.data.batch import Position


def relay(positions: Sequence[Position], size: int, streams: int) -> tuple[int, int]:
    """The pass, and how many samples of it each of `streams` readers skips, after what `positions` have taken.

    Each reader takes its shards in the same random order as before, so what is skipped is what was seen, up to a shard
    per reader: those that were half read, and the samples that waited in shuffle buffers.

    Args:
        positions: of all readers of all ranks so far.
        size: samples of a whole pass.
        streams: readers of all ranks from now on.
    """
    share = size / max(1, len(positions))
    taken = sum(position.epoch * share + position.taken for position in positions)
    epoch = int(taken // size)
    return epoch, round((taken - epoch * size) / streams)
