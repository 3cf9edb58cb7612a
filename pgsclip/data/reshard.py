"""The position to resume from when the data is split over another number of workers than before."""

from __future__ import annotations

from collections.abc import Sequence

from pgsclip.data.batch import Position


def resume_position(positions: Sequence[Position], size: int, workers: int) -> tuple[int, int]:
    """Find the pass, and how many of its samples each of `workers` workers skips, after what `positions` have taken.

    Each worker takes its shards in the same random order as before, so what is skipped is what was seen, up to a shard
    per worker: those that were half read, and the samples that waited in shuffle buffers.

    Args:
        positions: those of all workers of all ranks so far.
        size: samples in a whole pass.
        workers: number of workers of all ranks from now on.
    """
    share = size / max(1, len(positions))
    taken = sum(position.epoch * share + position.taken for position in positions)
    epoch = int(taken // size)
    return epoch, round((taken - epoch * size) / workers)
