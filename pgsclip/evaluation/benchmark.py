"""The border to clip-benchmark: its metrics on our encoders and batches. The only module that imports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval
from torch import Tensor

from pgsclip.evaluation.encoder import Encoder

# Its progress bars would write over our live line.
zeroshot_classification.tqdm = zeroshot_retrieval.tqdm = lambda iterable: iterable

RECALLS = (1, 5, 10)


def zeroshot(
    encoder: Encoder,
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: Sequence[str],
    templates: Sequence[str],
) -> dict[str, float]:
    """Top-1 accuracy of (images, class numbers) against prompts; `{c}` in a template stands for the class name.

    The prediction is clip-benchmark's; the share of hits is counted here, because its own `accuracy` converts a
    one-element array to float, which numpy refuses from 2.4 on.
    """
    kind = encoder.device.type
    classifier = zeroshot_classification.zero_shot_classifier(
        encoder, encoder.tokenizer, list(classes), list(templates), kind, amp=False
    )
    logits, labels = zeroshot_classification.run_classification(encoder, classifier, batches, kind, amp=False)
    return {"acc1": float((logits.argmax(dim=1) == labels).float().mean().item())}


def retrieval(encoder: Encoder, batches: Iterable[tuple[Tensor, list[Tensor]]]) -> dict[str, float]:
    """Recall at 1, 5 and 10 of (images, token ids of the caption of each image).

    `image_retrieval_recall@k`: text to image; `text_retrieval_recall@k`: image to text. k beyond the number of
    images or captions is left out.
    """
    count = 0

    def pairs() -> Iterator[tuple[Tensor, list[list[Tensor]]]]:
        nonlocal count
        for images, captions in batches:
            count += len(images)
            yield images, [[caption] for caption in captions]

    # asked for after all pairs have passed, so that their number is known without holding all images at once
    recalls = (k for k in RECALLS if k <= count)
    result = zeroshot_retrieval.evaluate(
        encoder, pairs(), torch.stack, encoder.device.type, amp=False, recall_k_list=recalls
    )
    return {name: float(value) for name, value in result.items()}
