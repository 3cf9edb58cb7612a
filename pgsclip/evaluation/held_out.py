"""Evaluation while a run goes on and at its end, on pairs that it does not train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from pgsclip.config.schema import DataConfig
from pgsclip.data.generated import HELD_OUT, TEMPLATES, classes, scene
from pgsclip.data.loading import read_all
from pgsclip.data.spec import GENERATED, open_source
from pgsclip.errors import DataError
from pgsclip.evaluation import metrics
from pgsclip.evaluation.classifier import build_classifier
from pgsclip.evaluation.encoder import Encoder

Transform = Callable[[Image.Image], Tensor]
_SCENES = 1000


@runtime_checkable
class HeldOut(Protocol):
    """A held-out set to evaluate a model on."""

    @property
    def name(self) -> str: ...

    def evaluate(self, encoder: Encoder) -> dict[str, float]:
        """Compute metric → value, under clip-benchmark's names."""

    def sentence(self, results: dict[str, float]) -> str:
        """Write the result for a person, with the chance level."""


@dataclass
class SceneClasses:
    """Zero-shot classification of generated scenes by colour and shape."""

    transform: Transform
    batch_size: int
    name: str = GENERATED

    def evaluate(self, encoder: Encoder) -> dict[str, float]:
        classifier = build_classifier(encoder, classes(), TEMPLATES, self.batch_size)
        features, labels = [], []
        with torch.no_grad():
            for images, numbers in self._batches():
                features.append(encoder.encode_image(images).float().cpu())
                labels.append(numbers)
        found = metrics.classification(torch.cat(features), torch.cat(labels), classifier)
        return {"acc1": found.metrics["acc1"]}

    def sentence(self, results: dict[str, float]) -> str:
        return (
            f"zero-shot accuracy {results['acc1']:.1%} on {_SCENES} generated scenes that the model never saw, "
            f"{len(classes())} classes (chance {1 / len(classes()):.1%})"
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, _SCENES, self.batch_size):
            scenes = [scene(HELD_OUT, index) for index in range(start, min(start + self.batch_size, _SCENES))]
            images = torch.stack([self.transform(Image.fromarray(one.image)) for one in scenes])
            yield images, torch.tensor([one.label for one in scenes])


@dataclass
class HeldOutPairs:
    """Retrieval among held-out pairs, both ways."""

    spec: str
    config: DataConfig
    transform: Transform
    tokenizer: Callable[[list[str]], Tensor]
    batch_size: int
    pairs: int = 0

    @property
    def name(self) -> str:
        return Path(self.spec.split("::")[0]).stem

    def evaluate(self, encoder: Encoder) -> dict[str, float]:
        images, texts = [], []
        with torch.no_grad():
            for batch in read_all(self.spec, self.config, self.transform, self.tokenizer, self.batch_size):
                images.append(encoder.encode_image(batch.images).float().cpu())
                texts.append(encoder.encode_text(batch.texts).float().cpu())
        self.pairs = sum(map(len, images))
        if self.pairs == 0:
            raise DataError(
                f"None of the held-out pairs in {self.spec} can be used. "
                f"Give others with --set evaluate.data=SPEC, or evaluate.data=null for no evaluation."
            )
        return metrics.retrieval(torch.cat(images), torch.cat(texts), range(self.pairs)).metrics

    def sentence(self, results: dict[str, float]) -> str:
        k = 5 if "text_retrieval_recall@5" in results else 1
        to_text, to_image = results[f"text_retrieval_recall@{k}"], results[f"image_retrieval_recall@{k}"]
        return (
            f"recall@{k} among {self.pairs} held-out pairs of {self.name}: image to text {to_text:.1%}, "
            f"text to image {to_image:.1%} (chance {k / self.pairs:.1%})"
        )


def held_out_sets(
    spec: str | None,
    config: DataConfig,
    transform: Transform,
    tokenizer: Callable[[list[str]], Tensor],
    batch_size: int,
) -> list[HeldOut]:
    """Open the sets that a spec of held-out data names; none for None.

    Raises:
        DataError: nothing is there; raised now, because the first evaluation may be hours away.
    """
    if spec is None:
        return []
    if spec.partition(":")[0] == GENERATED:
        return [SceneClasses(transform, batch_size)]
    open_source(spec, config)
    return [HeldOutPairs(spec, config, transform, tokenizer, batch_size)]
