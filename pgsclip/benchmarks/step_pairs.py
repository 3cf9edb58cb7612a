"""The pairs that `pgsclip bench step` trains on: drawn ones that lie ready, or those of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pgsclip.config.schema import DataConfig, RunConfig
from pgsclip.data.generated import scene
from pgsclip.data.normalise import Normalise
from pgsclip.data.spec import open_source
from pgsclip.distributed import World
from pgsclip.masking.pixels import normalise_pixels
from pgsclip.models.build import BuiltModel
from pgsclip.training.assemble import open_training_data

_SCENES = 256


class StepBatch(NamedTuple):
    """One batch of pairs, on the device."""

    images: Float[Tensor, "B 3 H W"]
    texts: Int64[Tensor, "B T"]
    lengths: Int64[Tensor, " B"]
    """Tokens of each caption, on the CPU, as the loader gives them."""


def draw_pairs(built: BuiltModel, count: int, caption_tokens: int | None, device: torch.device) -> StepBatch:
    """Draw scenes, with random captions of the mean length `caption_tokens`; as long as possible when None."""
    images = draw_images(count, *built.image_tower.image_size)
    lengths = spread_lengths(count, built.context_length, caption_tokens)
    texts = draw_captions(lengths, built.context_length, built.vocab_size)
    return StepBatch(images.to(device), texts.to(device), lengths)


def load_pairs(built: BuiltModel, data: str, batch_size: int, device: torch.device) -> Iterator[StepBatch]:
    """Yield batches without end, as training gets them.

    Raises:
        DataError: there are no such pairs.
    """
    config = RunConfig(data=DataConfig(spec=data, batch_size=batch_size))
    stream = open_training_data(config, built, open_source(data, config.data), World())
    normalise = Normalise(built.preprocess["mean"], built.preprocess["std"]).to(device)
    for batch in stream.batches(batch_size=batch_size, rank=0, world=1):
        images, texts = (tensor.to(device, non_blocking=True) for tensor in (batch.images, batch.texts))
        yield StepBatch(normalise(images), texts, batch.lengths)


def draw_images(count: int, height: int, width: int) -> Float[Tensor, "B 3 H W"]:
    """Draw scenes, of which a masker that chooses its ratio hides more or less; after 256 they come again."""
    drawn = (scene("bench", number, max(height, width)).image[:height, :width] for number in range(min(count, _SCENES)))
    images = torch.stack([normalise_pixels(image) for image in drawn])
    return images[torch.arange(count) % len(images)]


def spread_lengths(count: int, context: int, mean: int | None) -> Int64[Tensor, " B"]:
    """Spread lengths around a mean as those of alt texts are: many short ones and a long tail (log-normal, sigma 0.5).

    Args:
        mean: in tokens; all have the whole context when None.
    """
    if mean is None:
        return torch.full((count,), context)
    spread = (0.5 * torch.special.ndtri((torch.arange(count) + 0.5) / count)).exp()
    lengths: Int64[Tensor, " B"] = (mean * spread / spread.mean()).round().long().clamp(3, context)
    return lengths


def draw_captions(lengths: Int64[Tensor, " B"], context: int, vocabulary: int) -> Int64[Tensor, "B T"]:
    """Draw random ids; each caption ends in the end of text, which is the largest id, and is padded with zeros."""
    texts = torch.randint(1, vocabulary - 2, (len(lengths), context))
    texts[torch.arange(context) >= lengths[:, None]] = 0
    texts[torch.arange(len(lengths)), lengths - 1] = vocabulary - 1
    return texts
