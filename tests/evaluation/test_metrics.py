from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from clip_benchmark.metrics import image_caption_selection, zeroshot_classification, zeroshot_retrieval

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
