"""clip-benchmark's metrics on features that are already there.

Its `evaluate` functions want a model and a loader; theirs is here a model that hands features back as it got them. The
formulas are clip-benchmark's throughout; for each metric that is a share of right answers, the answers are kept too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import torch
from clip_benchmark.metrics import image_caption_selection, zeroshot_classification
from jaxtyping import Bool, Float, Int
from torch import Tensor

RECALLS = (1, 5, 10)
_CHUNK = 64
"""Rows that clip-benchmark compares at once."""
_SCORES = 2**24
"""Similarities of a retrieval that are held at once: 64 MiB."""


def silence(module: ModuleType) -> None:
    """Let the loops of one of clip-benchmark's modules run without a bar, which would write over our own lines."""
    vars(module)["tqdm"] = lambda iterable: iterable


for _module in (image_caption_selection, zeroshot_classification):
    silence(_module)


class Scores(NamedTuple):
    """Metrics and, where they are shares of right answers, one answer per question."""

    metrics: dict[str, float]
    outcomes: dict[str, Bool[Tensor, " Q"]]
    chance: dict[str, float]


class _Echo:
    """Stands for a model whose work is done."""

    @staticmethod
    def encode_image(features: Tensor) -> Tensor:
        return features.flatten(1)

    encode_text = encode_image


def classification(
    features: Float[Tensor, "N D"], labels: Int[Tensor, " N"] | Int[Tensor, "N C"], classifier: Float[Tensor, "D C"]
) -> Scores:
    """Compute zero-shot accuracy; with a vector of labels per image, mean average precision."""
    batches = zip(torch.split(features, 4096), torch.split(labels, 4096), strict=True)
    logits, targets = zeroshot_classification.run_classification(_Echo, classifier, batches, "cpu", amp=False)
    if targets.dim() == 2:
        precision = zeroshot_classification.average_precision_per_class(logits, targets)
        return Scores({"mean_average_precision": precision.mean().item()}, {}, {})
    return accuracies(logits, targets, classifier.shape[1] >= 5, prefix="", classes=classifier.shape[1])


def accuracies(
    logits: Float[Tensor, "N C"], targets: Int[Tensor, " N"], five: bool, prefix: str, classes: int
) -> Scores:
    """Compute acc1, acc5 and the mean recall of classes.

    The hits are counted here, as clip-benchmark's `accuracy` does it, because that converts a one-element array to
    float, which numpy refuses from 2.4 on.
    """
    best = logits.topk(5 if five else 1, 1, True, True)[1] == targets.unsqueeze(1)
    outcomes = {f"{prefix}acc1": best[:, 0]} | ({f"{prefix}acc5": best.any(dim=1)} if five else {})
    metrics = {name: hits.float().sum().item() / len(targets) for name, hits in outcomes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a predicted class that is no image's
        recall = zeroshot_classification.balanced_accuracy_score(targets, logits.argmax(dim=1))
    metrics[f"{prefix}mean_per_class_recall"] = float(recall)
    chance = {f"{prefix}acc1": 1 / classes, f"{prefix}mean_per_class_recall": 1 / classes}
    return Scores(metrics, outcomes, chance | ({f"{prefix}acc5": min(5 / classes, 1)} if five else {}))


def retrieval(images: Float[Tensor, "N D"], texts: Float[Tensor, "T D"], image_of_text: Sequence[int]) -> Scores:
    """Compute recall at 1, 5 and 10: `image_…` is text to image, `text_…` image to text; k beyond what there is: none.

    A question is answered when one of its right answers is among the k nearest, as clip-benchmark counts it. Every
    text is compared with every image, in chunks of texts, so that memory does not grow with their product.
    """
    owner = torch.tensor(image_of_text)
    asked = [k for k in RECALLS if k <= min(len(images), len(texts))]
    images_of, texts_of = _nearest(images, texts, asked)
    outcomes, chance = {}, {}
    captions = torch.bincount(owner, minlength=len(images))
    for k in asked:
        outcomes[f"image_retrieval_recall@{k}"] = (images_of[k] == owner[:, None]).any(dim=1)
        own = owner[texts_of[k]] == torch.arange(len(images))[:, None]
        outcomes[f"text_retrieval_recall@{k}"] = own.any(dim=1)
        chance[f"image_retrieval_recall@{k}"] = k / len(images)
        chance[f"text_retrieval_recall@{k}"] = _any_of(captions, len(texts), k)
    return Scores({name: hits.float().mean().item() for name, hits in outcomes.items()}, outcomes, chance)


def _nearest(
    images: Float[Tensor, "N D"], texts: Float[Tensor, "T D"], asked: Sequence[int]
) -> tuple[dict[int, Int[Tensor, "T K"]], dict[int, Int[Tensor, "N K"]]]:
    """Find, for each k, the k nearest images of each text and the k nearest texts of each image."""
    rows = max(1, _SCORES // len(images))
    images_of: dict[int, list[Tensor]] = {k: [] for k in asked}
    best, numbers = [], []
    for start in range(0, len(texts), rows):
        scores = texts[start : start + rows] @ images.T
        for k in asked:  # one by one, as clip-benchmark asks: among equal scores each k may order otherwise
            images_of[k].append(scores.topk(k, dim=1).indices)
        columns = scores.T.contiguous()
        if rows < len(texts):  # of each chunk only those texts stay that may be among the nearest of all
            columns, places = columns.topk(min(max(asked), len(scores)), dim=1)
        else:
            places = torch.arange(len(texts)).expand(len(images), -1)
        best.append(columns)
        numbers.append(places + start)
    candidates, number = torch.cat(best, dim=1), torch.cat(numbers, dim=1)
    texts_of = {k: number.gather(1, candidates.topk(k, dim=1).indices) for k in asked}
    return {k: torch.cat(found) for k, found in images_of.items()}, texts_of


def selection(images: Float[Tensor, "N D"], texts: Float[Tensor, "N 2 D"]) -> Scores:
    """Compute how often the right caption, the first, is nearer than the wrong one; leave out `image_acc`, always 1."""
    batches = (
        (pictures[:, None, None, None], list(range(start, start + len(pictures))))
        for start, pictures in zip(range(0, len(images), _CHUNK), torch.split(images, _CHUNK), strict=False)
    )
    theirs = image_caption_selection.evaluate(
        _Echo,
        ((pictures, [texts[i] for i in numbers]) for pictures, numbers in batches),
        torch.stack,
        "cpu",
        amp=False,
    )
    hits = (images[:, None] @ texts.transpose(1, 2)).squeeze(1).argmax(dim=1) == 0
    return Scores({"text_acc": float(theirs["text_acc"])}, {"text_acc": hits}, {"text_acc": 0.5})


def _any_of(captions: Int[Tensor, " N"], texts: int, k: int) -> float:
    """Compute the chance that one of an image's captions is among k drawn without return."""
    counts = captions.tolist()
    missed = {count: math.comb(texts - count, k) / math.comb(texts, k) for count in {*counts}}
    return 1 - sum(missed[count] for count in counts) / len(counts)
