"""Batches of a set, through clip-benchmark's own datasets.

What is changed on the way, each at one place below: members that would be unpickled are dropped, processes share a set
sample by sample, and every sample knows its place, so that results are in the same order however many processes and
workers have read it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from clip_benchmark.datasets.builder import build_dataset
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from webdataset.autodecode import Decoder
from webdataset.cache import StreamingOpen
from webdataset.compat import check_empty

from pgsclip.config.defaults import BACKGROUND
from pgsclip.data.decoding import read_image
from pgsclip.errors import DataError
from pgsclip.evaluation.layouts import EvalSet, MissingSetError

Transform = Callable[[Any], Any]
Place = tuple[int, int]
"""Number of the shard, number of the sample within it."""

_IMAGES = ("jpg", "jpeg", "png", "webp")
_KNOWN = (*_IMAGES, "cls", "npy", "txt")
_SMALL = 64 * 2**20
"""Bytes up to which starting worker processes costs more than they save."""


class EvalBatch(NamedTuple):
    """A batch of images with their labels or captions."""

    images: Float[Tensor, "B 3 H W"]
    targets: list[Any]
    """Class number, vector of labels, or captions, for each image."""
    places: list[Place]


class OpenSet(NamedTuple):
    """An evaluation set that is open for reading."""

    batches: Iterable[EvalBatch]
    classes: list[str]
    templates: list[str]


def open_set(
    found: EvalSet,
    split: str,
    transform: Transform,
    *,
    batch_size: int,
    workers: int | None = None,
    rank: int = 0,
    world: int = 1,
    only: set[Place] | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
    background: str = BACKGROUND,
) -> OpenSet:
    """Open this rank's share of a split.

    Args:
        workers: loader processes; chosen by the size of the set when None, never more than there are shards.
        only: the samples at these places alone; the others are not decoded.
        background: colour that shows where an image is see-through.

    Raises:
        DataError: while it is read: damaged shards or images, members missing.
    """
    dataset = _build(found, split, transform)
    count = 0
    if found.layout == "wds":
        stage = _Stage(rank, world, only)
        opener = next(i for i, step in enumerate(dataset.pipeline) if isinstance(step, StreamingOpen))
        dataset.pipeline[opener] = _open_files
        decoder = next(i for i, step in enumerate(dataset.pipeline) if _decoder_of(step))
        _decoder_of(dataset.pipeline[decoder]).handlers.insert(0, partial(_decode_image, background=background))
        dataset.pipeline.insert(decoder, stage.before)
        if check_empty in dataset.pipeline:  # it would refuse a worker whose shards are empty when others' are not
            dataset.pipeline.remove(check_empty)
        dataset.pipeline.append(stage.after)
        count = _workers(workers, found.shards if split == "test" else _shards(found, split), found.bytes)
    else:
        dataset = _Subset(dataset, found, rank, world, only, background)
        count = _workers(workers, 4, found.bytes)
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=count,
        collate_fn=collate or _collate,
        multiprocessing_context="fork" if count else None,  # its pipeline holds a lambda, which only a fork can pass on
    )
    classes, templates = getattr(dataset, "classes", None), getattr(dataset, "templates", None)
    return OpenSet(_Reader(loader, found, split), list(classes or []), list(templates or []))


class _Reader:
    """Batches of a set; any error of the datasets becomes one sentence."""

    def __init__(self, loader: DataLoader[Any], found: EvalSet, split: str) -> None:
        self._loader, self._found, self._split = loader, found, split

    def __iter__(self) -> Iterator[EvalBatch]:
        try:
            yield from self._loader
        except Exception as error:  # webdataset, tarfile and Pillow meet damage with whatever its bytes lead to
            raise MissingSetError(
                f"The {self._split} split of the set {self._found.dataset} in {self._found.folder} cannot be read "
                f"to its end: {_reason(error)}. Get it again, or leave it out with --datasets."
            ) from error


def _reason(error: Exception) -> str:
    """Give the last line of an error or of what led to it; a sample is named where it is known."""
    cause = error.__cause__ or error
    text = str(cause.args[0]) if cause.args else str(cause)
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), type(cause).__name__)
    key = getattr(error, "key", None)
    return f"{last.rstrip('.')} (sample {key})" if key else last.rstrip(".")


class _Stage:
    """Two steps around the decoder of a WebDataset pipeline, which takes one sample at a time."""

    def __init__(self, rank: int, world: int, only: set[Place] | None) -> None:
        self._rank, self._world, self._only = rank, world, only
        self._place: Place = (0, 0)

    def before(self, source: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Keep this rank's samples, and of them what is decoded safely: webdataset unpickles .pyd, .pickle and .pth."""
        shard, number = "", -1
        for sample in source:
            number = number + 1 if sample["__url__"] == shard else 0
            shard = sample["__url__"]
            place = (_number(shard), number)
            if sum(place) % self._world != self._rank or (self._only is not None and place not in self._only):
                continue
            self._place = place
            yield {name: value for name, value in sample.items() if name.startswith("__") or name.lower() in _KNOWN}

    def after(self, source: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any, Place]]:
        for image, target in source:
            yield image, target, self._place


class _Subset(Dataset[Any]):
    """A set with an index, cut to the share of one rank; its images are read here, and not as clip-benchmark does."""

    def __init__(
        self, dataset: Any, found: EvalSet, rank: int, world: int, only: set[Place] | None, background: str
    ) -> None:
        self._dataset, self._layout, self._background = dataset, found.layout, background
        mine = range(rank, len(dataset), world)
        self._indices = [index for index in mine if only is None or (0, index) in only]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, number: int) -> tuple[Any, Any, Place]:
        index = self._indices[number]
        file, target = self._file_and_target(index)
        image = read_image(Path(self._dataset.root, file), self._background)
        return self._dataset.transform(image), target, (0, index)

    def _file_and_target(self, index: int) -> tuple[str, Any]:
        """Look up a sample in the annotations that clip-benchmark has read."""
        if self._layout == "flickr":
            name, captions = self._dataset.data[index]
            return name, captions
        if self._layout == "sugar_crepe":
            entry = self._dataset.ann[self._dataset.idx_strings[index]]
            return entry["filename"], [entry["caption"], entry["negative_caption"]]
        number = self._dataset.ids[index]
        captions = [one["caption"] for one in self._dataset.coco.loadAnns(self._dataset.coco.getAnnIds(number))]
        return self._dataset.coco.loadImgs(number)[0]["file_name"], captions


def _build(found: EvalSet, split: str, transform: Transform) -> Any:
    task = "zeroshot_retrieval" if found.task in ("retrieval", "selection") else "zeroshot_classification"
    name = f"wds/{found.dataset}" if found.layout == "wds" else found.dataset
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # webdataset's reminder about shuffling
        try:
            return build_dataset(
                name, root=str(found.folder), transform=transform, split=split, download=False, task=task
            )
        except ModuleNotFoundError as error:
            raise DataError(
                f"The set {found.dataset} needs the package {error.name}: pip install {error.name}."
            ) from None


def _collate(items: list[tuple[Tensor, Any, Place]]) -> EvalBatch:
    images, targets, places = zip(*items, strict=True)
    return EvalBatch(torch.stack(images), list(targets), list(places))


def _open_files(shards: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Local files and nothing else, each closed when it has been read; webdataset leaves them open."""
    for shard in shards:
        with Path(shard["url"]).open("rb") as stream:
            yield {"url": shard["url"], "stream": stream}


def _decoder_of(step: Any) -> Any:
    """Find the decoder that a step of a pipeline calls; None where it calls another thing."""
    return next((argument for argument in getattr(step, "args", ()) if isinstance(argument, Decoder)), None)


def _decode_image(key: str, content: bytes, *, background: str) -> Image.Image | None:
    """Decode an image as training does, before webdataset's own handlers; leave every other member to them."""
    return read_image(content, background) if key.rpartition(".")[2].lower() in _IMAGES else None


def _number(url: str) -> int:
    return int(url.rpartition("/")[2].removesuffix(".tar"))


def _shards(found: EvalSet, split: str) -> int:
    return int((found.folder / split / "nshards.txt").read_text(encoding="utf-8"))


def _workers(wanted: int | None, shards: int, size: int) -> int:
    """Choose a count: webdataset refuses more workers than shards, and torch warns of more than there are cores."""
    if sys.platform == "darwin":
        return 0
    shards = min(shards, len(os.sched_getaffinity(0)))
    if wanted is None:
        wanted = 0 if size < _SMALL else 4
    return min(wanted, shards) if min(wanted, shards) > 1 or wanted == 1 else 0
