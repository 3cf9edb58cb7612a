"""From raw samples to batches: decode, augment, stack, and remember what could not be used.

An augmentation is a function of (seed, pass, sample), so it is the same whichever worker makes it and whenever.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from pgsclip.chance import derive
from pgsclip.data.batch import Batch, Fault, Position
from pgsclip.data.captions import part_or_whole
from pgsclip.data.source import Raw

Transform = Callable[[Image.Image], Tensor]
Tokenizer = Callable[[list[str]], Tensor]


class Augment(NamedTuple):
    """What differs from pass to pass: crops, and which captions are read in part."""

    seed: int
    caption_parts: float = 0.0
    """Share of the captions of which one part alone is read."""


@dataclass
class Collector:
    """Decodes items until a batch is full; remembers what could not be used."""

    transform: Transform
    tokenizer: Tokenizer
    augment: Augment | None = None
    """None where the transform draws nothing and captions stay whole, as in evaluation."""
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
        self.captions.append(self._caption(item, epoch))
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
                    image = _upright_rgb(picture)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            return Fault("image too large", raw.shard, raw.key, str(error))
        except FileNotFoundError as error:
            return Fault("missing image", raw.shard, raw.key, str(error))
        except Exception as error:  # decoders of damaged files raise anything
            return Fault("corrupt image", raw.shard, raw.key, f"{type(error).__name__}: {error}")
        if self.augment is None:
            return self.transform(image)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.augment.seed, "augment", epoch, raw.shard, raw.key))
            return self.transform(image)

    def _caption(self, raw: Raw, epoch: int) -> str:
        if self.augment is None or not self.augment.caption_parts:
            return raw.caption
        seed = derive(self.augment.seed, "caption", epoch, raw.shard, raw.key)
        return part_or_whole(raw.caption, self.augment.caption_parts, seed)


def _upright_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits: convert() would clip them at 255, and the picture would be white
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    image = picture.convert("RGB")
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged tag does not make a damaged picture
        return image
