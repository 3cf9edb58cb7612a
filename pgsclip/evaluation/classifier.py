"""The text side of zero-shot classification: one weight vector for each class.

clip-benchmark encodes one class per pass and again for every set with the same classes; here all prompts go through in
batches, and what was encoded once is read back, under a name made of its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pgsclip.distributed import get_rank, get_world_size
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.features import encode_texts
from pgsclip.files import write_atomically


class ClassifierCache:
    """Classifiers by (weights, precision, classes, templates), in memory and, with a folder, on disk."""

    def __init__(self, weights: str, folder: Path | None = None) -> None:
        self._weights = weights
        self._folder = folder
        self._known: dict[str, Tensor] = {}

    def get(
        self, encoder: Encoder, classes: Sequence[str], templates: Sequence[str], batch_size: int
    ) -> Float[Tensor, "D C"]:
        """Return the classifier; build it when it is not known yet."""
        text = json.dumps([self._weights, list(classes), list(templates)])
        key = hashlib.sha256(text.encode()).hexdigest()[:32]
        if key not in self._known:
            found = self._read(key)
            if found is None:
                found = build_classifier(encoder, classes, templates, batch_size)
                self._write(key, found)
            self._known[key] = found
        return self._known[key]

    def _read(self, key: str) -> Tensor | None:
        """Only alone: ranks that do not all read the same would wait for each other for ever."""
        if self._folder is None or get_world_size() > 1:
            return None
        try:
            return load_file(self._folder / f"{key}.safetensors")["classifier"]
        except (OSError, SafetensorError, KeyError):
            return None

    def _write(self, key: str, classifier: Tensor) -> None:
        if self._folder is None or get_rank() != 0:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / f"{key}.safetensors", save({"classifier": classifier.contiguous()}))


def build_classifier(
    encoder: Encoder, classes: Sequence[str], templates: Sequence[str], batch_size: int
) -> Float[Tensor, "D C"]:
    """Average the normalised features of each class's prompts and normalise again; `{c}` in a template is the class."""
    prompts = [template.format(c=name) for name in classes for template in templates]
    features = F.normalize(encode_texts(prompts, encoder, batch_size), dim=-1)
    means = features.view(len(classes), len(templates), -1).mean(dim=1)
    return F.normalize(means, dim=-1).T
