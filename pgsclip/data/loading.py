"""Endless, exact streams of batches.

Shard order, shuffling and augmentation are functions of (seed, pass, rank, worker, sample), and every batch tells how
far its worker has come; so a stream that starts again from those positions goes on bit for bit.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pgsclip.chance import derive
from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Batch, Fault, Position
from pgsclip.data.source import Raw, Slot, Source
from pgsclip.data.spec import open_source
from pgsclip.data.upright import upright_rgb
from pgsclip.data.watch import Reading, calm_worker, in_time, named_when_late
from pgsclip.errors import DataError, PgsclipError

Transform = Callable[[Image.Image], Tensor]
Tokenizer = Callable[[list[str]], Tensor]
_MOST_WORKERS = 4


@dataclass(frozen=True)
class Stream:
    """Training pairs without end."""

    source: Source
    transform: Transform
    tokenizer: Tokenizer
    seed: int
    shuffle: int
    workers: int
    """Loader processes per training process; 0 loads in the training process itself."""
    stall_seconds: float = 600.0
    """How long a batch may take before the reader counts as stalled."""

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


def open_data(
    spec: str,
    *,
    config: DataConfig,
    transform: Transform,
    tokenizer: Tokenizer,
    seed: int,
    world: int = 1,
) -> Stream:
    """Open training data.

    Raises:
        DataError: nothing there, or fewer shards than loader workers.
    """
    source = open_source(spec, config)
    return open_stream(source, config=config, transform=transform, tokenizer=tokenizer, seed=seed, world=world)


def open_stream(
    source: Source,
    *,
    config: DataConfig,
    transform: Transform,
    tokenizer: Tokenizer,
    seed: int,
    world: int = 1,
) -> Stream:
    """The training stream of a source that is open.

    Raises:
        DataError: fewer shards than loader workers.
    """
    workers = _workers(source, config, world)
    return Stream(source, transform, tokenizer, seed, config.shuffle, workers, config.stall_seconds)


def read_all(
    spec: str, config: DataConfig, transform: Transform, tokenizer: Tokenizer, batch_size: int
) -> Iterator[Batch]:
    """Every usable pair once, in order, in this process; the last batch may be short. For evaluation."""
    source = open_source(spec, config)
    collector = _Collector(transform, tokenizer, seed=0, augment=False)
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
        collector = _Collector(stream.transform, stream.tokenizer, stream.seed, augment=True)
        position = self._start.get(worker, Position(worker, 0, 0))
        epoch, skip = position.epoch, position.taken
        while True:
            note = partial(self._reading.note, worker)
            slot = Slot(self._rank * streams + worker, self._world * streams, epoch, stream.seed, note)
            usable = False
            taken = skip
            for item in _shuffled(stream.source, slot, stream.shuffle, skip):
                taken += 1
                usable |= collector.take(item, epoch)
                if len(collector.images) == self._batch_size:
                    yield collector.batch(Position(worker, epoch, taken))
            if not usable and skip == 0:
                raise DataError(_nothing_usable(stream, collector))
            epoch, skip = epoch + 1, 0


@dataclass
class _Collector:
    """Decodes items until a batch is full; remembers what could not be used."""

    transform: Transform
    tokenizer: Tokenizer
    seed: int
    augment: bool
    images: list[Tensor] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    read: int = 0

    def take(self, item: Raw | Fault, epoch: int) -> bool:
        """Add one item; False when it cannot be used."""
        self.read += 1
        decoded = item if isinstance(item, Fault) else self._decode(item, epoch)
        if isinstance(decoded, Fault):
            self.faults.append(decoded)
            return False
        assert isinstance(item, Raw)
        self.images.append(decoded)
        self.captions.append(item.caption)
        self.keys.append(item.key)
        return True

    def batch(self, position: Position) -> Batch:
        """What was collected, and a fresh start."""
        texts = self.tokenizer(self.captions)
        # the end-of-text token has the largest id, and nothing after it is ever looked at
        lengths = texts.argmax(dim=1) + 1
        done = Batch(torch.stack(self.images), texts, lengths, self.keys, position, self.faults, self.read)
        self.images, self.captions, self.keys, self.faults, self.read = [], [], [], [], 0
        return done

    def _decode(self, raw: Raw, epoch: int) -> Tensor | Fault:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with raw.picture() as picture:
                    image = upright_rgb(picture)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            return Fault("image too large", raw.shard, raw.key, str(error))
        except FileNotFoundError as error:
            return Fault("missing image", raw.shard, raw.key, str(error))
        except Exception as error:  # decoders of damaged files raise anything
            return Fault("corrupt image", raw.shard, raw.key, f"{type(error).__name__}: {error}")
        if not self.augment:
            return self.transform(image)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "augment", epoch, raw.shard, raw.key))
            return self.transform(image)


def _shuffled(source: Source, slot: Slot, size: int, skip: int) -> Iterator[Raw | Fault]:
    """One pass in random order without its first `skip` items; a buffer of `size` where the source has none."""
    if source.shuffled:
        yield from source.read(slot, skip)
        return
    for number, item in enumerate(_buffered(source.read(slot), slot, size)):
        if number >= skip:
            yield item


def _buffered(items: Iterator[Raw | Fault], slot: Slot, size: int) -> Iterator[Raw | Fault]:
    chance = slot.chance()
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


def _workers(source: Source, config: DataConfig, world: int) -> int:
    most = source.shards if source.shards is not None else source.size
    if most < world:
        raise DataError(
            f"There are {most} shards for {world} training processes; each needs one of its own. "
            f"Split the data into more shards, or start fewer processes."
        )
    if config.workers == "auto":
        return min(_MOST_WORKERS, os.cpu_count() or 1, most // world)
    if config.workers * world > most:
        raise DataError(
            f"There are {most} shards for {config.workers} workers in each of {world} process"
            f"{'es' if world > 1 else ''}; a worker without a shard would have nothing to read. "
            f"Set data.workers={most // world} or fewer, or split the data into more shards."
        )
    return config.workers


def _nothing_usable(stream: Stream, collector: _Collector) -> str:
    causes = sorted({fault.cause for fault in collector.faults})
    example = collector.faults[0] if collector.faults else None
    detail = f": {', '.join(causes)}, for example {example.shard} {example.key}".rstrip() if example else ""
    return f"A whole pass over a loader worker's share of {stream.description} gave no usable pair{detail}."
