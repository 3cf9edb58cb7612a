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
from pgsclip.masking.pixels import normalised
from pgsclip.models.build import BuiltModel
from pgsclip.training.assemble import open_training_data

_SCENES = 256


class Pairs(NamedTuple):
    """One batch on the device."""

    images: Tensor
    texts: Tensor
    lengths: Tensor
    """On the CPU, as the loader gives them."""


def drawn_pairs(built: BuiltModel, count: int, caption_tokens: int | None, device: torch.device) -> Pairs:
    """Scenes with captions that say nothing about them, of the mean length `caption_tokens`; whole ones when None."""
    images = drawn_images(count, *built.image_tower.image_size)
    texts = random_captions(count, built.context_length, built.vocab_size, caption_tokens)
    return Pairs(images.to(device), texts.to(device), texts.argmax(dim=1) + 1)


def loaded_pairs(built: BuiltModel, data: str, batch_size: int, device: torch.device) -> Iterator[Pairs]:
    """Batches without end, as training gets them.

    Raises:
        DataError: there are no such pairs.
    """
    config = RunConfig(data=DataConfig(spec=data, batch_size=batch_size))
    stream = open_training_data(config, built, open_source(data, config.data), World())
    normalise = Normalise(built.preprocess["mean"], built.preprocess["std"]).to(device)
    for batch in stream.batches(batch_size=batch_size, rank=0, world=1):
        images, texts = (tensor.to(device, non_blocking=True) for tensor in (batch.images, batch.texts))
        yield Pairs(normalise(images), texts, batch.lengths)


def drawn_images(count: int, height: int, width: int) -> Float[Tensor, "B 3 H W"]:
    """Scenes, of which a masker that chooses its ratio hides more or less; the same ones again where they run out."""
    drawn = (scene("bench", number, max(height, width)).image[:height, :width] for number in range(min(count, _SCENES)))
    images = torch.stack([normalised(image) for image in drawn])
    return images[torch.arange(count) % len(images)]


def random_captions(batch: int, context: int, vocabulary: int, mean: int | None) -> Int64[Tensor, "B T"]:
    """Random ids that end in the end of text, the largest id.

    Lengths with a mean are spread as those of alt texts are: many short ones and a long tail (log-normal, sigma 0.5).
    """
    lengths = torch.full((batch,), context)
    if mean is not None:
        spread = (0.5 * torch.special.ndtri((torch.arange(batch) + 0.5) / batch)).exp()
        lengths = (mean * spread / spread.mean()).round().long().clamp(3, context)
    texts = torch.randint(1, vocabulary - 2, (batch, context))
    texts[torch.arange(context) >= lengths[:, None]] = 0
    texts[torch.arange(batch), lengths - 1] = vocabulary - 1
    return texts
