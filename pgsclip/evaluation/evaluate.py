"""Jobs on a model: what is done is skipped, what is missing is named, the rest is computed and written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pgsclip.config.defaults import BACKGROUND, EVAL_BATCH_SIZE
from pgsclip.config.schema import ProbeConfig
from pgsclip.distributed import broadcast_object, get_rank, get_world_size
from pgsclip.evaluation import metrics
from pgsclip.evaluation.classifier import ClassifierCache
from pgsclip.evaluation.datasets import OpenSet, open_set
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.features import EncodedSet, encode_images, encode_texts
from pgsclip.evaluation.gallery import write_gallery
from pgsclip.evaluation.layouts import AbsentSetError, EvalSet, MissingSetError, locate
from pgsclip.evaluation.linear_probe import train_probe
from pgsclip.evaluation.loaded_model import LoadedModel
from pgsclip.evaluation.metrics import Scores
from pgsclip.results.result import Result, load_result, name_file, pack_outcomes, save_result
from pgsclip.results.suites import Job

OnMessage = Callable[[str], None]


@dataclass
class EvalReport:
    """The outcome of an evaluation."""

    results: list[Result] = field(default_factory=list)
    skipped: int = 0
    """Results that were there already."""
    missing: list[str] = field(default_factory=list)
    """A sentence for each set that could not be evaluated."""


@dataclass(frozen=True)
class EvalOptions:
    """EvalOptions of an evaluation."""

    root: Path
    out: Path | None = None
    """Where results lie; without it nothing is written or read."""
    batch_size: int = EVAL_BATCH_SIZE
    workers: int | None = None
    precision: str = "fp32"
    background: str = BACKGROUND
    """Colour that shows where an image is see-through."""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    command: str = ""


def evaluate(
    model: LoadedModel,
    jobs: Iterable[Job],
    options: EvalOptions,
    on_message: OnMessage,
    on_progress: Callable[[str, int], None],
) -> EvalReport:
    """Run all jobs, on all ranks together.

    Args:
        on_message: called with one finished line at a time, on the leading rank.
        on_progress: called with the job and how many of its images are done.
    """
    report = EvalReport()
    work = Evaluator(model.encoder, model.transform, model.weights, options)
    leads = get_rank() == 0
    for job in jobs:
        try:
            found = locate(job, options.root)
            settings = work.settings(job, found)
            path = options.out and options.out / name_file(model.weights, job.dataset, job.family, settings)
            known = broadcast_object(load_result(path) if leads and path and path.exists() else None)
            if known is not None:
                report.results.append(known)
                report.skipped += 1
                continue
            began = time.perf_counter()
            scores, samples, classes = work.scores(job, found, lambda done, job=job: on_progress(job.dataset, done))  # type: ignore[misc]
        except MissingSetError as error:
            report.missing.append(str(error))
            if leads:
                absent = isinstance(error, AbsentSetError)
                on_message(f"left out: {f'{job.family} {job.dataset}, which is not there' if absent else error}")
            continue
        result = Result(
            model=model.name,
            architecture=model.architecture,
            weights=model.weights,
            dataset=job.dataset,
            family=job.family,
            settings=settings,
            metrics=scores.metrics,
            chance=scores.chance,
            samples=samples,
            classes=classes,
            seconds=round(time.perf_counter() - began, 3),
            step=model.step,
            evaluated_at=datetime.now(UTC).isoformat(),
            command=options.command,
            outcomes={name: pack_outcomes(bits.tolist()) for name, bits in scores.outcomes.items()},
            questions={name: len(bits) for name, bits in scores.outcomes.items()},
        )
        report.results.append(result)
        if leads:
            if options.out:
                if job.family == "retrieval":
                    work.keep_gallery(found, options.out / name_file(result.weights, job.dataset, job.family, settings))
                save_result(result, options.out)
            on_message(line(result))
    return report


@dataclass
class Evaluator:
    """Features and classifiers of one model, each computed once."""

    encoder: Encoder
    transform: Callable[[Any], Tensor]
    weights: str
    options: EvalOptions

    def __post_init__(self) -> None:
        folder = self.options.out / "classifiers" if self.options.out else None
        self._classifiers = ClassifierCache(f"{self.weights}-{self.options.precision}", folder)
        self._encoded: dict[tuple[Path, str], tuple[OpenSet, EncodedSet]] = {}
        self._last: tuple[EncodedSet, Tensor, list[int], list[str]] | None = None

    def settings(self, job: Job, found: EvalSet) -> dict[str, Any]:
        """List what the numbers depend on beside weights and set."""
        own: dict[str, Any] = {"precision": self.options.precision, "data": found.fingerprint("test")}
        if self.options.background != BACKGROUND:
            own["background"] = self.options.background
        if job.family == "linear-probe":
            own |= {"probe": self.options.probe.model_dump(), "train_data": found.fingerprint("train")}
        return own

    def scores(self, job: Job, found: EvalSet, on_progress: Callable[[int], None]) -> tuple[Scores, int, int | None]:
        """Compute metrics, number of images and number of classes; the same on all ranks."""
        opened, encoded = self._images(found, "test", on_progress)
        classes: int | None = len(opened.classes)
        if job.family == "retrieval":
            return self._retrieval(found, encoded), len(encoded.places), None
        if job.family == "compositionality":
            texts = [caption for pair in encoded.targets for caption in list(pair)[:2]]
            features = encode_texts(texts, self.encoder, self.options.batch_size).view(len(encoded.places), 2, -1)
            return metrics.selection(encoded.features, features), len(encoded.places), None
        if job.family == "linear-probe":
            _, train = self._images(found, "train", on_progress)
            scores = train_probe(
                (train.features, _labels(found, train)),
                (encoded.features, _labels(found, encoded)),
                self.options.probe,
                self.encoder.device,
            )
            return scores, len(encoded.places), classes
        labels = _labels(found, encoded, classes)
        classifier = self._classifiers.get(self.encoder, opened.classes, opened.templates, self.options.batch_size)
        return metrics.classification(encoded.features, labels, classifier), len(encoded.places), classes

    def keep_gallery(self, found: EvalSet, result: Path) -> None:
        """Write some queries of the last retrieval with their best answers, for the report."""
        if self._last is not None:
            write_gallery(found, *self._last, result, self.options.background)

    def _images(self, found: EvalSet, split: str, on_progress: Callable[[int], None]) -> tuple[OpenSet, EncodedSet]:
        key = (found.folder, f"{found.dataset}/{split}")
        if key not in self._encoded:
            opened = open_set(
                found,
                split,
                self.transform,
                batch_size=self.options.batch_size,
                workers=self.options.workers,
                background=self.options.background,
                rank=get_rank(),
                world=get_world_size(),
            )
            blank = self.transform(Image.new("RGB", (8, 8)))
            encoded = encode_images(opened.batches, self.encoder, blank, on_progress)
            if not encoded.places:
                raise MissingSetError(
                    f"The set {found.dataset} in {found.folder} holds no sample in its {split} split."
                )
            if split == "train":  # ImageNet's is large, and used once
                return opened, encoded
            self._encoded[key] = opened, encoded
        return self._encoded[key]

    def _retrieval(self, found: EvalSet, encoded: EncodedSet) -> Scores:
        texts = [caption for captions in encoded.targets for caption in captions]
        if not texts:
            raise MissingSetError(f"The set {found.dataset} in {found.folder} has images but not one caption.")
        image_of_text = [index for index, captions in enumerate(encoded.targets) for _ in captions]
        features = encode_texts(texts, self.encoder, self.options.batch_size)
        self._last = encoded, features, image_of_text, texts
        return metrics.retrieval(encoded.features, features, image_of_text)


def line(result: Result) -> str:
    """Write a result for a person: `zeroshot cifar10: acc1 31.2% (chance 10.0%), …`."""
    shown = [
        f"{name} {value:.1%}" + (f" (chance {result.chance[name]:.1%})" if name in result.chance else "")
        for name, value in result.metrics.items()
        if not name.endswith("mean_per_class_recall")
    ]
    return f"{result.family} {result.dataset}: {', '.join(shown)}; {result.samples:,} images, {result.seconds:.1f} s"


def _labels(found: EvalSet, encoded: EncodedSet, classes: int | None = None) -> Tensor:
    """Stack class numbers, or a vector of labels for each image; they must be among `classes` names."""
    try:
        if isinstance(encoded.targets[0], int):
            labels = torch.tensor(encoded.targets)
            low, high = int(labels.min()), int(labels.max()) + 1
        else:
            labels = torch.from_numpy(np.stack([np.asarray(target) for target in encoded.targets])).long()
            low, high = 0, labels.shape[1]
    except (TypeError, ValueError, IndexError):
        raise MissingSetError(
            f"The labels of the set {found.dataset} in {found.folder} are not alike: expected one number for each "
            f"image, or vectors of one length."
        ) from None
    if low < 0 or (classes is not None and high > classes):
        raise MissingSetError(
            f"The set {found.dataset} in {found.folder} has labels for classes {low} to {high - 1}, and its "
            f"classnames.txt names {classes}, counted from 0. Take the classnames.txt that belongs to these shards."
        )
    return labels


def require_results(report: EvalReport) -> None:
    """Refuse an evaluation in which not one set was there.

    Raises:
        MissingSetError: with the first sets that are missing.
    """
    if report.results or not report.missing:
        return
    raise MissingSetError(
        "None of the sets could be evaluated.\n  "
        + "\n  ".join(report.missing[:3])
        + (
            f"\n  and {len(report.missing) - 3} more; `pgsclip data eval-sets` lists all. "
            "Sets of your own: --datasets A,B."
            if len(report.missing) > 3
            else ""
        )
    )
