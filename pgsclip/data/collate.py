"""From raw samples to batches: decode, augment, stack, and remember what could not be used.

An augmentation is a function of (seed, pass, sample), so it is the same whichever worker makes it and whenever.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from pgsclip.data.batch import Batch, Fault, Position
from pgsclip.data.captions import part_or_whole
from pgsclip.data.decoding import try_decode
from pgsclip.data.source import Raw
from pgsclip.seeding import derive
from pgsclip.token_ids import count_tokens

Transform = Callable[[Image.Image, random.Random], Tensor]
"""Turns an opened picture, not decoded yet, into the model's pixels; draws all chance from the second argument."""
Tokenizer = Callable[[list[str]], Tensor]


@dataclass
class Collator:
    """Collects decoded items until a batch is full; remembers those that could not be used."""

    transform: Transform
    tokenizer: Tokenizer
    seed: int
    caption_parts: float = 0.0
    """Probability that one part of a caption is read instead of the whole."""
    views: int = 1
    """Number of random crops of each image; several are stacked before the channels."""
    images: list[Tensor] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    read: int = 0

    def take(self, item: Raw | Fault, epoch: int) -> bool:
        """Add one item; return False when it cannot be used."""
        self.read += 1
        image = item if isinstance(item, Fault) else self._decode(item, epoch)
        if isinstance(image, Fault):
            self.faults.append(image)
            return False
        assert isinstance(item, Raw)
        self.images.append(image)
        self.captions.append(self._caption(item, epoch))
        self.keys.append(item.key)
        return True

    def batch(self, position: Position) -> Batch:
        """Return the collected batch and start a new one."""
        texts = self.tokenizer(self.captions)
        done = Batch(torch.stack(self.images), texts, count_tokens(texts), self.keys, position, self.faults, self.read)
        self.images, self.captions, self.keys, self.faults, self.read = [], [], [], [], 0
        return done

    def _decode(self, raw: Raw, epoch: int) -> Tensor | Fault:
        chance = random.Random(derive(self.seed, "augment", epoch, raw.shard, raw.key))

        def crop(open_picture: Callable[[], Image.Image]) -> Tensor:
            views = []
            for _ in range(self.views):  # each decodes no more of the file than its own crop needs
                with open_picture() as picture:
                    views.append(self.transform(picture, chance))
            return views[0] if self.views == 1 else torch.stack(views)

        return try_decode(raw, crop)

    def _caption(self, raw: Raw, epoch: int) -> str:
        if not self.caption_parts:
            return raw.caption
        return part_or_whole(raw.caption, self.caption_parts, derive(self.seed, "caption", epoch, raw.shard, raw.key))
