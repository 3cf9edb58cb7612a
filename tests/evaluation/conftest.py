"""An encoder whose features are known, so that its numbers can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from pgsclip.evaluation.encoder import Encoder


@pytest.fixture
def known_encoder() -> Callable[[Tensor, Tensor], Encoder]:
    """A picture of the number k has row k of `images` as features; so have texts, whose token is the last number."""

    def make(images: Tensor, texts: Tensor) -> Encoder:
        def features(pictures: Tensor | None, tokens: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
            return (
                None if pictures is None else images[pictures[:, 0, 0, 0].long()],
                None if tokens is None else texts[tokens[:, 0]],
            )

        def last_number(prompts: Sequence[str]) -> Tensor:
            return torch.tensor([[int(prompt.split()[-1])] for prompt in prompts])

        return Encoder(features, last_number, torch.device("cpu"))

    return make
