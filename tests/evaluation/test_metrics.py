from __future__ import annotations

import itertools
import math
from types import ModuleType

import numpy as np
import pytest
import torch
from clip_benchmark.metrics import image_caption_selection, zeroshot_classification, zeroshot_retrieval
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsclip.evaluation import metrics


class Echo:
    def encode_image(self, features: torch.Tensor) -> torch.Tensor:
        return features.flatten(1)

    encode_text = encode_image


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("classes", [3, 7])
def test_accuracies_equal_float64_arithmetic(classes: int) -> None:
    features, weights = unit(50, 6), unit(classes, 6, seed=1).T
    labels = torch.arange(50) % classes
    found = metrics.classification(features, labels, weights)
    scores = features.double().numpy() @ weights.double().numpy()
    order = np.argsort(-scores, axis=1)
    hits = order[:, 0] == labels.numpy()
    expected = {
        "acc1": hits.mean(),
        "mean_per_class_recall": np.mean([hits[labels.numpy() == c].mean() for c in range(classes)]),
    }
    if classes >= 5:
        expected["acc5"] = (order[:, :5] == labels.numpy()[:, None]).any(axis=1).mean()
    assert found.metrics == pytest.approx(expected, abs=1e-6)
    assert found.outcomes["acc1"].tolist() == hits.tolist()
    assert found.chance["acc1"] == pytest.approx(1 / classes)


def test_several_labels_per_image_are_judged_by_average_precision() -> None:
    features, weights = unit(20, 4), unit(3, 4, seed=2).T
    labels = (torch.rand(20, 3, generator=torch.Generator().manual_seed(3)) > 0.5).long()
    found = metrics.classification(features, labels, weights)
    logits = 100.0 * features @ weights
    expected = zeroshot_classification.average_precision_per_class(logits, labels).mean().item()
    assert found.metrics == {"mean_average_precision": pytest.approx(expected)}
    assert found.outcomes == {}


def test_recalls_equal_clip_benchmark_with_several_captions_per_image() -> None:
    owners = [0, 0, 1, 2, 2, 2, *range(3, 14)]
    images, texts = unit(14, 5), unit(len(owners), 5, seed=4)
    found = metrics.retrieval(images, texts, owners)
    groups = [[texts[t] for t, owner in enumerate(owners) if owner == image] for image in range(14)]
    theirs = zeroshot_retrieval.evaluate(
        Echo(), [(images, groups)], torch.stack, "cpu", amp=False, recall_k_list=[1, 5, 10]
    )
    assert found.metrics == pytest.approx(theirs, abs=1e-6)
    assert len(found.outcomes["image_retrieval_recall@1"]) == len(owners)
    assert len(found.outcomes["text_retrieval_recall@1"]) == 14


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**31), st.integers(1, 200))
def test_recalls_equal_ranks_in_float64_whatever_the_chunk(count: int, seed: int, held: int) -> None:
    rng = np.random.default_rng(seed)
    owners = [*range(count), *rng.integers(0, count, rng.integers(0, 2 * count)).tolist()]
    rng.shuffle(owners)
    images, texts = (torch.from_numpy(rng.normal(size=(rows, 5))).float() for rows in (count, len(owners)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_SCORES", held)
        found = metrics.retrieval(images, texts, owners)
    scores = texts.double().numpy() @ images.double().numpy().T
    own = np.array(owners)
    image_rank = (scores > scores[np.arange(len(owners)), own][:, None]).sum(axis=1)
    mine = np.where(own[:, None] == np.arange(count), scores, -np.inf).max(axis=0)
    text_rank = (scores > mine).sum(axis=0)
    expected = {}
    for k in (1, 5, 10):
        if k <= count:
            expected[f"image_retrieval_recall@{k}"] = (image_rank < k).mean()
            expected[f"text_retrieval_recall@{k}"] = (text_rank < k).mean()
    assert found.metrics == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("count", "kept"), [(1, [1]), (4, [1]), (5, [1, 5]), (9, [1, 5]), (10, [1, 5, 10])])
def test_recall_beyond_the_number_of_images_is_left_out(count: int, kept: list[int]) -> None:
    found = metrics.retrieval(torch.eye(count), torch.eye(count), range(count))
    assert found.metrics == {f"{side}_retrieval_recall@{k}": 1.0 for k in kept for side in ("image", "text")}


def test_a_model_that_tells_nothing_apart_is_at_chance() -> None:
    flat = torch.full((20, 4), 0.5)
    found = metrics.retrieval(flat, flat, range(20))
    assert found.metrics == pytest.approx(
        {f"{side}_retrieval_recall@{k}": k / 20 for k in metrics.RECALLS for side in ("image", "text")}
    )
    labels = torch.arange(20) % 5
    assert metrics.classification(flat, labels, flat[:5].T).metrics["acc1"] == pytest.approx(1 / 5)


def test_similarities_of_a_retrieval_are_never_held_all_at_once() -> None:
    count = 3000  # 36 MB of similarities, and as many again for the other direction
    images = unit(count, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_SCORES", 2**16)
        most = 0
        matmul = torch.Tensor.__matmul__

        def watched(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            nonlocal most
            product = matmul(one, other)
            most = max(most, product.numel())
            return product

        patch.setattr(torch.Tensor, "__matmul__", watched)
        found = metrics.retrieval(images, images, range(count))
    assert most <= 2**16
    assert found.metrics["image_retrieval_recall@1"] == 1.0


def test_loops_of_clip_benchmark_run_without_a_bar() -> None:
    module = ModuleType("theirs")
    metrics.silence(module)
    assert list(module.tqdm([1, 2])) == [1, 2]


def test_why_hits_are_counted_here() -> None:
    """numpy refuses clip-benchmark's own `accuracy` from 2.4 on; when this fails, it can be used again."""
    logits, labels = torch.eye(3), torch.arange(3)
    if np.lib.NumpyVersion(np.__version__) < "2.4.0":
        with pytest.warns(DeprecationWarning, match="Conversion of an array"):
            assert zeroshot_classification.accuracy(logits, labels) == [1.0]
    else:
        with pytest.raises(TypeError, match="0-dimensional"):
            zeroshot_classification.accuracy(logits, labels)


def test_chance_of_a_recall_is_counted_over_all_draws() -> None:
    owners = [0, 0, 1, 2, 2, 2]
    found = metrics.retrieval(unit(3, 4), unit(6, 4, seed=5), owners)
    draws = [
        any(t in own for t in draw) for own in ({0, 1}, {2}, {3, 4, 5}) for draw in itertools.combinations(range(6), 1)
    ]
    assert found.chance["text_retrieval_recall@1"] == pytest.approx(np.mean(draws))
    assert set(found.metrics) == {"image_retrieval_recall@1", "text_retrieval_recall@1"}  # 5 of 3 cannot be asked
    assert math.isclose(found.chance["image_retrieval_recall@1"], 1 / 3)


def test_the_right_caption_is_the_first() -> None:
    images, texts = unit(130, 6), unit(260, 6, seed=6).view(130, 2, 6)
    found = metrics.selection(images, texts)
    right = [float(images[i] @ texts[i, 0]) > float(images[i] @ texts[i, 1]) for i in range(130)]
    assert found.metrics == {"text_acc": pytest.approx(np.mean(right), abs=1e-6)}
    assert found.outcomes["text_acc"].tolist() == right
    theirs = image_caption_selection.evaluate(
        Echo(),
        [(images[:, None, None, None], [list(pair) for pair in texts])],
        lambda rows: torch.stack(list(rows)),
        "cpu",
        amp=False,
    )
    assert theirs["image_acc"] == 1.0  # why it is left out
    assert theirs["text_acc"] == pytest.approx(found.metrics["text_acc"])
