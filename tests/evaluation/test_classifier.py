from __future__ import annotations

from pathlib import Path

import pytest
import torch
from clip_benchmark.metrics import zeroshot_classification
from torch import Tensor

from pgsclip.evaluation.classifier import ClassifierCache, build_classifier
from pgsclip.evaluation.encoder import Encoder

CLASSES, TEMPLATES = ["cat", "a {dog", "ox"], ["a {c}.", "{c}", "two {c}s"]


@pytest.fixture
def asked() -> list[int]:
    return []


@pytest.fixture
def encoder(asked: list[int]) -> Encoder:
    """Features of a text are drawn from its hash."""

    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        assert texts is not None
        asked.append(len(texts))
        rows = [torch.randn(8, generator=torch.Generator().manual_seed(int(text))) for text in texts[:, 0]]
        return None, torch.stack(rows)

    def tokenizer(texts: object) -> Tensor:
        return torch.tensor([[sum(map(ord, text))] for text in texts])  # type: ignore[attr-defined]

    return Encoder(features, tokenizer, torch.device("cpu"))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_weights_equal_clip_benchmark_s(encoder: Encoder, batch_size: int) -> None:
    classes = ["cat", "dog", "ox"]
    ours = build_classifier(encoder, classes, TEMPLATES, batch_size)
    theirs = zeroshot_classification.zero_shot_classifier(
        encoder, encoder.tokenizer, classes, TEMPLATES, "cpu", amp=False
    )
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_all_prompts_go_through_in_batches(encoder: Encoder, asked: list[int]) -> None:
    build_classifier(encoder, CLASSES[:1] * 3, TEMPLATES, 4)
    assert asked == [4, 4, 1]


def test_a_cache_answers_by_content(encoder: Encoder, asked: list[int], tmp_path: Path) -> None:
    first = ClassifierCache("w", tmp_path).get(encoder, ["cat"], TEMPLATES, 9)
    assert torch.equal(ClassifierCache("w", tmp_path).get(encoder, ["cat"], TEMPLATES, 9), first)
    assert asked == [3]
    for weights, classes, templates in (("v", ["cat"], TEMPLATES), ("w", ["ox"], TEMPLATES), ("w", ["cat"], ["{c}"])):
        ClassifierCache(weights, tmp_path).get(encoder, classes, templates, 9)
    assert asked == [3, 3, 3, 1]


def test_without_a_folder_nothing_is_written(encoder: Encoder, asked: list[int], tmp_path: Path) -> None:
    cache = ClassifierCache("w")
    cache.get(encoder, ["cat"], TEMPLATES, 9)
    cache.get(encoder, ["cat"], TEMPLATES, 9)
    assert asked == [3]
    assert list(tmp_path.iterdir()) == []
