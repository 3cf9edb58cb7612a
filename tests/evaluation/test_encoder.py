from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pgsclip.evaluation.encoder import Encoder


def test_each_side_is_asked_for_alone() -> None:
    asked: list[tuple[bool, bool]] = []

    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        asked.append((images is not None, texts is not None))
        return images, texts

    encoder = Encoder(features, lambda prompts: torch.zeros(len(prompts), 1), torch.device("cpu"))
    images, texts = torch.rand(2, 3, 4, 4), torch.ones(2, 5)
    assert torch.equal(encoder.encode_image(images), images)
    assert torch.equal(encoder.encode_text(texts), texts)
    assert asked == [(True, False), (False, True)]


def test_inputs_are_moved_to_the_device_of_the_model() -> None:
    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        return images, texts

    encoder = Encoder(features, lambda prompts: torch.zeros(len(prompts), 1), torch.device("meta"))
    assert encoder.encode_image(torch.rand(1, 3, 2, 2)).is_meta
    assert encoder.encode_text(torch.ones(1, 5)).is_meta


def test_missing_features_are_not_passed_on() -> None:
    encoder = Encoder(lambda images, texts: (None, None), lambda prompts: torch.zeros(1), torch.device("cpu"))
    with pytest.raises(AssertionError):
        encoder.encode_image(torch.rand(1, 3, 2, 2))
    with pytest.raises(AssertionError):
        encoder.encode_text(torch.ones(1, 5))
