"""The part of a model that evaluation needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Encode = Callable[[Tensor | None, Tensor | None], tuple[Tensor | None, Tensor | None]]


@dataclass(frozen=True)
class Encoder:
    """A model as clip-benchmark expects one: `encode_image`, `encode_text`, both normalised, all patches seen."""

    encode: Encode
    """(images, texts) → (image features, text features), on the device of the model."""
    tokenizer: Callable[[Sequence[str]], Tensor]
    device: torch.device

    def encode_image(self, images: Tensor) -> Tensor:
        features, _ = self.encode(images.to(self.device), None)
        assert features is not None
        return features

    def encode_text(self, texts: Tensor) -> Tensor:
        _, features = self.encode(None, texts.to(self.device))
        assert features is not None
        return features
