"""Endless, exact workers of batches.

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
from pgsclip.data.collate import Collator, Tokenizer, Transform
from pgsclip.data.shuffle import shuffled
from pgsclip.data.source import PairSource, WorkerPass
from pgsclip.data.spec import open_source
from pgsclip.data.stall_guard import OpenShards, init_worker, name_stalled_shards, within_seconds
from pgsclip.data.to_rgb import to_rgb
from pgsclip.errors import DataError, PgsclipError

_MOST_WORKERS = 4


@dataclass(frozen=True)
class Stream:
    """Training pairs without end."""

    source: PairSource
    transform: Transform
    tokenizer: Tokenizer
    seed: int
    shuffle: int
    workers: int
    """Loader processes per training process; 0 loads in the training process itself."""
    stall_seconds: float
    """How long a batch may take before its worker counts as stalled."""
    caption_part_probability: float
    """Probability that one part of a caption is read instead of the whole."""
    views: int
    """Number of random crops of each image."""

    @property
    def size(self) -> int:
        """Pairs in one epoch, over all ranks."""
        return self.source.size

    @property
    def description(self) -> str:
        """Description of the source, for the log."""
        return self.source.description

    @property
    def worker_count(self) -> int:
        """Independent workers per training process; without loader processes the training process itself is one."""
        return max(1, self.workers)

    def batches(
        self, *, batch_size: int, rank: int, world: int, start: Sequence[Position] = (), batches_done: int = 0
    ) -> Iterator[Batch]:
        """Yield this rank's batches from the given positions on, after `batches_done` earlier ones.

        Raises:
            DataError: while iterating, when a whole pass yields nothing, or nothing comes for `stall_seconds`.
        """
        open_shards = OpenShards(self.worker_count)
        starts = {p.worker: p for p in start}
        feed = _Feed(self, batch_size, rank, world, starts, batches_done % self.worker_count, open_shards)
        if self.workers == 0:
            items: Iterator[Batch | PgsclipError] = within_seconds(iter(feed), self.stall_seconds, open_shards)
        else:
            loader = DataLoader(
                feed,
                batch_size=None,
                num_workers=self.workers,
                pin_memory=torch.cuda.is_available(),
                worker_init_fn=init_worker,
                timeout=self.stall_seconds,
            )
            items = name_stalled_shards(iter(loader), self.stall_seconds, open_shards)
        for item in items:
            if isinstance(item, PgsclipError):
                try:
                    raise item
                finally:
                    del item  # error and frame would hold each other, and a loader freed late waits for each process
            yield item


def open_stream(
    source: PairSource,
    *,
    config: DataConfig,
    transform: Transform,
    tokenizer: Tokenizer,
    seed: int,
    world: int = 1,
) -> Stream:
    """Give the training stream of an open source.

    Raises:
        DataError: fewer shards than loader workers.
    """
    workers = loader_workers(source.size if source.shards is None else source.shards, config, world)
    return Stream(
        source,
        transform,
        tokenizer,
        seed,
        config.shuffle,
        workers,
        config.stall_seconds,
        config.caption_part_probability,
        config.views,
    )


def read_all(
    spec: str, config: DataConfig, transform: Callable[[Image.Image], Tensor], tokenizer: Tokenizer, batch_size: int
) -> Iterator[Batch]:
    """Yield every usable pair once, in order, in this process; the last batch may be short. For evaluation."""
    source = open_source(spec, config)
    collator = Collator(lambda picture, _: transform(to_rgb(picture, config.background)), tokenizer, seed=0)
    for item in source.read_all():
        collator.take(item, epoch=0)
        if len(collator.images) == batch_size:
            yield collator.batch(Position(0, 0, 0))
    if collator.images:
        yield collator.batch(Position(0, 0, 0))


class _Feed(IterableDataset[Batch]):
    """The dataset of a loader process: its share of the source, decoded and collated."""

    def __init__(
        self,
        stream: Stream,
        batch_size: int,
        rank: int,
        world: int,
        start: dict[int, Position],
        rotation: int,
        open_shards: OpenShards,
    ) -> None:
        self._stream = stream
        self._batch_size = batch_size
        self._rank = rank
        self._world = world
        self._start = start
        self._rotation = rotation
        self._open_shards = open_shards

    def __iter__(self) -> Iterator[Batch]:
        # The loader asks process 0 first; after n batches it is worker n's turn.
        info = get_worker_info()
        workers = self._stream.worker_count
        worker = ((info.id if info else 0) + self._rotation) % workers
        try:
            yield from self._batches(worker, workers)
        except PgsclipError as error:
            yield error  # type: ignore[misc]  # raised again in the parent; an exception here becomes torch's traceback

    def _batches(self, worker: int, workers: int) -> Iterator[Batch]:
        stream = self._stream
        parts, views = stream.caption_part_probability, stream.views
        collator = Collator(stream.transform, stream.tokenizer, stream.seed, caption_parts=parts, views=views)
        position = self._start.get(worker, Position(worker, 0, 0))
        epoch, skip = position.epoch, position.taken
        while True:
            on_shard = partial(self._open_shards.record, worker)
            work = WorkerPass(self._rank * workers + worker, self._world * workers, epoch, stream.seed, on_shard)
            usable = False
            taken = skip
            for item in shuffled(stream.source, work, stream.shuffle, skip):
                taken += 1
                usable |= collator.take(item, epoch)
                if len(collator.images) == self._batch_size:
                    yield collator.batch(Position(worker, epoch, taken))
            if not usable and skip == 0:
                raise DataError(_nothing_usable(stream, collator))
            epoch, skip = epoch + 1, 0


def loader_workers(most: int, config: DataConfig, world: int) -> int:
    """Count the loader processes per training process, when `most` shards (or single pairs) are dealt out.

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


def _nothing_usable(stream: Stream, collator: Collator) -> str:
    causes = sorted({fault.cause for fault in collator.faults})
    example = collator.faults[0] if collator.faults else None
    detail = f": {', '.join(causes)}, for example {example.shard} {example.key}".rstrip() if example else ""
    return f"A whole pass over a loader worker's share of {stream.description} gave no usable pair{detail}."
