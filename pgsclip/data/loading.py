"""Endless, exact streams of batches.

Shard order, shuffling and augmentation are functions of (seed, pass, rank, worker, sample), and every batch tells how
far its worker has come; so a stream that starts again from those positions goes on bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Batch, Position
from pgsclip.data.collate import Collector, Look, Tokenizer
from pgsclip.data.shuffle import shuffled
from pgsclip.data.source import Slot, Source
from pgsclip.data.spec import open_source
from pgsclip.data.stall_guard import Reading, calm_worker, in_time, named_when_late
from pgsclip.data.to_rgb import upright_rgb
from pgsclip.errors import DataError, PgsclipError

_MOST_WORKERS = 4


@dataclass(frozen=True)
class Stream:
    """Training pairs without end."""

    source: Source
    look: Look
    tokenizer: Tokenizer
    seed: int
    shuffle: int
    workers: int
    """Loader processes per training process; 0 loads in the training process itself."""
    stall_seconds: float = 600.0
    """How long a batch may take before the reader counts as stalled."""
    caption_parts: float = 0.0
    """Share of the captions of which one part alone is read."""
    views: int = 1
    """Random crops of each image."""

    @property
    def size(self) -> int:
        """Pairs in one epoch, over all ranks."""
        return self.source.size

    @property
    def description(self) -> str:
        """What is read, for the log."""
        return self.source.description

    @property
    def streams(self) -> int:
        """Independent readers per training process."""
        return max(1, self.workers)

    def batches(
        self, *, batch_size: int, rank: int, world: int, start: Sequence[Position] = (), batches_done: int = 0
    ) -> Iterator[Batch]:
        """This rank's batches from the given positions on, after `batches_done` earlier ones.

        Raises:
            DataError: while iterating, when a whole pass yields nothing, or nothing comes for `stall_seconds`.
        """
        reading = Reading(self.streams)
        starts = {p.worker: p for p in start}
        feed = _Feed(self, batch_size, rank, world, starts, batches_done % self.streams, reading)
        if self.workers == 0:
            items: Iterator[Batch | PgsclipError] = in_time(iter(feed), self.stall_seconds, reading)
        else:
            loader = DataLoader(
                feed,
                batch_size=None,
                num_workers=self.workers,
                pin_memory=torch.cuda.is_available(),
                worker_init_fn=calm_worker,
                timeout=self.stall_seconds,
            )
            items = named_when_late(iter(loader), self.stall_seconds, reading)
        for item in items:
            if isinstance(item, PgsclipError):
                try:
                    raise item
                finally:
                    del item  # error and frame would hold each other, and a loader freed late waits for each process
            yield item


def open_stream(
    source: Source,
    *,
    config: DataConfig,
    look: Look,
    tokenizer: Tokenizer,
    seed: int,
    world: int = 1,
) -> Stream:
    """The training stream of a source that is open.

    Raises:
        DataError: fewer shards than loader workers.
    """
    workers = loader_workers(source.size if source.shards is None else source.shards, config, world)
    return Stream(
        source,
        look,
        tokenizer,
        seed,
        config.shuffle,
        workers,
        config.stall_seconds,
        caption_parts=config.caption_part_probability,
        views=config.views,
    )


def read_all(
    spec: str, config: DataConfig, transform: Callable[[Image.Image], Tensor], tokenizer: Tokenizer, batch_size: int
) -> Iterator[Batch]:
    """Every usable pair once, in order, in this process; the last batch may be short. For evaluation."""
    source = open_source(spec, config)
    collector = Collector(lambda picture, _: transform(upright_rgb(picture)), tokenizer, seed=0)
    for item in source.read_all():
        collector.take(item, epoch=0)
        if len(collector.images) == batch_size:
            yield collector.batch(Position(0, 0, 0))
    if collector.images:
        yield collector.batch(Position(0, 0, 0))


class _Feed(IterableDataset[Batch]):
    """What runs in a loader process: its slot of the source, decoded and collated."""

    def __init__(
        self,
        stream: Stream,
        batch_size: int,
        rank: int,
        world: int,
        start: dict[int, Position],
        rotation: int,
        reading: Reading,
    ) -> None:
        self._stream = stream
        self._batch_size = batch_size
        self._rank = rank
        self._world = world
        self._start = start
        self._rotation = rotation
        self._reading = reading

    def __iter__(self) -> Iterator[Batch]:
        # The loader asks process 0 first; after n batches it is worker n's turn.
        info = get_worker_info()
        streams = self._stream.streams
        worker = ((info.id if info else 0) + self._rotation) % streams
        try:
            yield from self._batches(worker, streams)
        except PgsclipError as error:
            yield error  # type: ignore[misc]  # raised again in the parent; an exception here becomes torch's traceback

    def _batches(self, worker: int, streams: int) -> Iterator[Batch]:
        stream = self._stream
        collector = Collector(
            stream.look, stream.tokenizer, stream.seed, caption_parts=stream.caption_parts, views=stream.views
        )
        position = self._start.get(worker, Position(worker, 0, 0))
        epoch, skip = position.epoch, position.taken
        while True:
            note = partial(self._reading.note, worker)
            slot = Slot(self._rank * streams + worker, self._world * streams, epoch, stream.seed, note)
            usable = False
            taken = skip
            for item in shuffled(stream.source, slot, stream.shuffle, skip):
                taken += 1
                usable |= collector.take(item, epoch)
                if len(collector.images) == self._batch_size:
                    yield collector.batch(Position(worker, epoch, taken))
            if not usable and skip == 0:
                raise DataError(_nothing_usable(stream, collector))
            epoch, skip = epoch + 1, 0


def loader_workers(most: int, config: DataConfig, world: int) -> int:
    """Loader processes per training process, when `most` shards (or pairs that are files) are dealt out to them.

    Raises:
        DataError: one of them would have none.
    """
    if most < world:
        raise DataError(
            f"There are {most} shards for {world} training processes; each needs one of its own. "
            f"Split the data into more shards, or start fewer processes."
        )
    if not isinstance(config.workers, int):  # also `auto`, where nothing is measured
        return min(_MOST_WORKERS, os.cpu_count() or 1, most // world)
    if config.workers * world > most:
        raise DataError(
            f"There are {most} shards for {config.workers} workers in each of {world} process"
            f"{'es' if world > 1 else ''}; a worker without a shard would have nothing to read. "
            f"Set data.workers={most // world} or fewer, or split the data into more shards."
        )
    return config.workers


def _nothing_usable(stream: Stream, collector: Collector) -> str:
    causes = sorted({fault.cause for fault in collector.faults})
    example = collector.faults[0] if collector.faults else None
    detail = f": {', '.join(causes)}, for example {example.shard} {example.key}".rstrip() if example else ""
    return f"A whole pass over a loader worker's share of {stream.description} gave no usable pair{detail}."
