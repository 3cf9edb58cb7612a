"""From raw samples to batches: decode, augment, stack, and remember what could not be used.

An augmentation is a function of (seed, pass, sample), so it is the same whichever worker makes it and whenever.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from pgsclip.chance import derive
from pgsclip.data.batch import Batch, Fault, Position
from pgsclip.data.source import Raw

Look = Callable[[Image.Image, random.Random], Tensor]
"""From an opened picture, not decoded yet, to the model's pixels; all chance is drawn from the second argument."""
Tokenizer = Callable[[list[str]], Tensor]


@dataclass
class Collector:
    """Decodes items until a batch is full; remembers what could not be used."""

    look: Look
    tokenizer: Tokenizer
    seed: int
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
                chance = random.Random(derive(self.seed, "augment", epoch, raw.shard, raw.key))
                with raw.picture() as picture:
                    return self.look(picture, chance)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            return Fault("image too large", raw.shard, raw.key, str(error))
        except FileNotFoundError as error:
            return Fault("missing image", raw.shard, raw.key, str(error))
        except Exception as error:  # decoders of damaged files raise anything
            return Fault("corrupt image", raw.shard, raw.key, f"{type(error).__name__}: {error}")
