"""`pgsclip bench data`: from the bytes of an image to a training tensor on one core, beside open_clip's transform.

Both go through all images in turn; figures are medians over rounds.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median

import open_clip
import torch
from PIL import Image

from pgsclip.benchmarks.timing import time_in_turns
from pgsclip.config.defaults import CROP_SCALE
from pgsclip.config.schema import DataConfig
from pgsclip.data.batch import Fault
from pgsclip.data.benchmark_scenes import benchmark_scenes
from pgsclip.data.crops import TrainCrop
from pgsclip.data.image_file import open_image
from pgsclip.data.normalise import Normalise
from pgsclip.data.source import Raw
from pgsclip.data.spec import open_source
from pgsclip.data.to_rgb import to_rgb
from pgsclip.errors import DataError

_GENERATED_SIDE = 500
_QUALITY = 90
Open = Callable[[], Image.Image]


@dataclass(frozen=True)
class DecodeCost:
    """Cost of one way from bytes to tensor."""

    name: str
    microseconds: float
    """Microseconds per image."""
    times_open_clip: float
    """Speed as a multiple of open_clip's transform."""
    images_per_second: float
    """Images per second on one core."""


def bench_data(
    spec: str, *, image_size: int, count: int, repeats: int, scale: tuple[float, float] = CROP_SCALE
) -> list[DecodeCost]:
    """Time both ways on the first `count` images of `spec`, or on drawn JPEGs of 500 pixels for `generated`.

    Args:
        image_size: side of the tensors in pixels.
        repeats: timed rounds; one more warms up.
        scale: smallest and largest share of the image's area that a crop covers.

    Raises:
        DataError: there is no readable image.
    """
    images = _draw(count) if spec == "generated" else _read(spec, count)
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    augment = open_clip.AugmentationCfg(scale=scale)
    theirs = open_clip.image_transform(image_size, is_train=True, mean=mean, std=std, aug_cfg=augment)
    crop, normalise = TrainCrop((image_size, image_size), scale), Normalise(mean, std)
    rng = random.Random(0)
    ways: dict[str, Callable[[Open], object]] = {
        "open_clip": lambda opened: theirs(to_rgb(opened())),
        "pgsclip": lambda opened: normalise(crop(opened(), rng)),
        "decoding alone": lambda opened: to_rgb(opened()),
    }

    def run_all(way: Callable[[Open], object]) -> None:
        for opened in images:
            way(opened)

    with _one_thread():
        times = time_in_turns({name: partial(run_all, way) for name, way in ways.items()}, repeats)
    seconds = {name: median(took) / len(images) for name, took in times.items()}
    return [DecodeCost(name, 1e6 * took, seconds["open_clip"] / took, 1 / took) for name, took in seconds.items()]


def _draw(count: int) -> list[Open]:
    images: list[Open] = []
    for scene in benchmark_scenes(count, _GENERATED_SIDE):
        content = io.BytesIO()
        Image.fromarray(scene.image).save(content, "JPEG", quality=_QUALITY)
        images.append(partial(_reopen, content.getvalue()))
    return images


def _read(spec: str, count: int) -> list[Open]:
    items = open_source(spec, DataConfig()).read_all()
    images = list(islice(_keep_readable(items), count))
    if not images:
        raise DataError(f"There is no readable image in {spec}.")
    return images


def _keep_readable(items: Iterator[Raw | Fault]) -> Iterator[Open]:
    for item in items:
        if isinstance(item, Raw) and _can_be_read(item.picture):
            yield item.picture


def _can_be_read(opened: Open) -> bool:
    try:
        to_rgb(opened())
    except Exception:  # decoders of damaged files raise anything
        return False
    return True


def _reopen(content: bytes) -> Image.Image:
    return open_image(content)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Work on one thread, as a worker of the loader does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
