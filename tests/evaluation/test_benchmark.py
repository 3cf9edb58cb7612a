from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pgsclip.evaluation.benchmark import RECALLS, retrieval, zeroshot
from pgsclip.evaluation.encoder import Encoder

KnownEncoder = Callable[[Tensor, Tensor], Encoder]


def numbered(start: int, end: int) -> Tensor:
    """Pictures of the numbers in [start, end)."""
    return torch.arange(start, end, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def labelled(labels: Tensor, batch_size: int) -> list[tuple[Tensor, Tensor]]:
    starts = range(0, len(labels), batch_size)
    return [(numbered(s, min(s + batch_size, len(labels))), labels[s : s + batch_size]) for s in starts]


def paired(count: int, batch_size: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Batches that can be gone through once only, as those of a loader."""
    for start in range(0, count, batch_size):
        end = min(start + batch_size, count)
        yield numbered(start, end), list(torch.arange(start, end).view(-1, 1))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 7), st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(0, 2**31))
def test_zero_shot_accuracy_equals_float64_arithmetic(
    known_encoder: KnownEncoder, classes: int, templates: int, count: int, batch_size: int, seed: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    images, texts = torch.randn(count, 6, generator=chance), torch.randn(10 * classes, 6, generator=chance)
    labels = torch.randint(classes, (count,), generator=chance)
    # text `template t of class c` is number 10c + t
    prompts = [f"{{c}}{template}" for template in range(templates)]
    names = [f"{number}" for number in range(classes)]
    found = zeroshot(known_encoder(images, texts), labelled(labels, batch_size), names, prompts)

    rows = unit(texts.double().numpy()).reshape(classes, 10, 6)[:, :templates]
    weights = unit(rows.mean(axis=1))
    hits = (unit(images.double().numpy()) @ weights.T).argmax(axis=1) == labels.numpy()
    assert set(found) == {"acc1"}
    assert found["acc1"] == pytest.approx(hits.mean(), abs=1e-6)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 2**31))
def test_recalls_equal_float64_arithmetic(known_encoder: KnownEncoder, count: int, batch_size: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    images, texts = torch.randn(count, 5, generator=chance), torch.randn(count, 5, generator=chance)
    found = retrieval(known_encoder(images, texts), paired(count, batch_size))

    scores = unit(texts.double().numpy()) @ unit(images.double().numpy()).T
    own = np.diag(scores)
    image_rank, text_rank = (scores > own[:, None]).sum(axis=1), (scores > own[None]).sum(axis=0)
    expected = {}
    for k in (1, 5, 10):
        if k <= count:
            expected[f"image_retrieval_recall@{k}"] = (image_rank < k).mean()
            expected[f"text_retrieval_recall@{k}"] = (text_rank < k).mean()
    assert found == pytest.approx(expected, abs=1e-6)


def test_recalls_are_those_of_clip_benchmark_itself(known_encoder: KnownEncoder) -> None:
    images, texts = torch.randn(23, 4), torch.randn(23, 4)
    encoder = known_encoder(images, texts)
    theirs = [(pictures, [[text] for text in captions]) for pictures, captions in paired(23, 6)]
    expected = zeroshot_retrieval.evaluate(encoder, theirs, torch.stack, "cpu", amp=False, recall_k_list=list(RECALLS))
    assert retrieval(encoder, paired(23, 6)) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "kept"), [(1, [1]), (4, [1]), (5, [1, 5]), (9, [1, 5]), (10, [1, 5, 10])])
def test_recall_beyond_the_number_of_images_is_left_out(
    known_encoder: KnownEncoder, count: int, kept: list[int]
) -> None:
    same = torch.eye(count)
    found = retrieval(known_encoder(same, same), paired(count, 3))
    assert found == {f"{side}_retrieval_recall@{k}": 1.0 for k in kept for side in ("image", "text")}


def test_a_model_that_tells_nothing_apart_is_at_chance(known_encoder: KnownEncoder) -> None:
    flat = torch.ones(20, 4)
    found = retrieval(known_encoder(flat, flat), paired(20, 7))
    assert found == pytest.approx(
        {f"{side}_retrieval_recall@{k}": k / 20 for k in RECALLS for side in ("image", "text")}
    )
    labels = torch.arange(20) % 5
    accuracy = zeroshot(known_encoder(flat, flat), labelled(labels, 8), [f"{n}" for n in range(5)], ["{c}"])
    assert accuracy == pytest.approx({"acc1": 1 / 5})


def test_length_of_features_does_not_matter(known_encoder: KnownEncoder) -> None:
    images, texts = torch.randn(15, 4), torch.randn(15, 4)
    long = known_encoder(images * torch.linspace(0.1, 90, 15)[:, None], texts * torch.linspace(50, 0.2, 15)[:, None])
    assert retrieval(long, paired(15, 4)) == retrieval(known_encoder(images, texts), paired(15, 4))


def test_images_are_not_held_all_at_once(known_encoder: KnownEncoder) -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def batches() -> Iterator[tuple[Tensor, list[Tensor]]]:
        nonlocal most
        for start in range(12):
            images = numbered(start, start + 1).clone()
            alive.append(weakref.ref(images))
            most = max(most, sum(one() is not None for one in alive))
            yield images, [torch.tensor([start])]

    retrieval(known_encoder(torch.eye(12), torch.eye(12)), batches())
    assert most <= 3


def test_evaluation_asks_for_no_gradient_and_prints_nothing(
    known_encoder: KnownEncoder, capfd: pytest.CaptureFixture[str]
) -> None:
    images, texts = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4, requires_grad=True)
    encoder = known_encoder(images, texts)
    retrieval(encoder, paired(6, 2))
    zeroshot(encoder, labelled(torch.zeros(6, dtype=torch.int64), 2), ["0", "1"], ["{c}"])
    assert capfd.readouterr() == ("", "")
    assert images.grad is None


def test_prompts_are_templates_filled_with_the_class(known_encoder: KnownEncoder) -> None:
    asked: list[list[str]] = []

    def tokenizer(prompts: list[str]) -> Tensor:
        asked.append(list(prompts))
        return torch.zeros(len(prompts), 1, dtype=torch.int64)

    known = known_encoder(torch.ones(1, 2), torch.ones(1, 2))
    encoder = Encoder(known.features, tokenizer, known.device)
    zeroshot(encoder, labelled(torch.zeros(1, dtype=torch.int64), 1), ("red circle", "a {b}"), ("a {c}", "one {c}."))
    assert asked == [["a red circle", "one red circle."], ["a a {b}", "one a {b}."]]


def test_why_hits_are_counted_here() -> None:
    """numpy refuses clip-benchmark's own `accuracy` from 2.4 on; when this fails, it can be used again."""
    logits, labels = torch.eye(3), torch.arange(3)
    if np.lib.NumpyVersion(np.__version__) < "2.4.0":
        with pytest.warns(DeprecationWarning, match="Conversion of an array"):
            assert zeroshot_classification.accuracy(logits, labels) == [1.0]
    else:
        with pytest.raises(TypeError, match="0-dimensional"):
            zeroshot_classification.accuracy(logits, labels)
