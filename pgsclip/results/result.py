"""The result of one evaluation of one set, as it lies on disk."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pgsclip.errors import RunError
from pgsclip.files import write_atomically

GALLERY = ".gallery.json"


class Result(BaseModel):
    """The result of one set, complete in itself: model, settings, metrics, and whether each answer was right."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str
    """Name that a person gave: run folder, model name with tag, or file."""
    architecture: str
    weights: str
    """Hash of the weights themselves, whatever the file is called."""
    dataset: str
    family: str
    settings: dict[str, Any]
    """Everything else that the numbers depend on; part of the result's identity."""
    metrics: dict[str, float]
    """Metrics under clip-benchmark's names, shares in [0, 1]."""
    chance: dict[str, float]
    """Level that guessing reaches, for the metrics that have such a number."""
    samples: int
    classes: int | None = None
    seconds: float
    step: int | None = None
    """Training step of the checkpoint, of weights that come from a run."""
    evaluated_at: str = ""
    """Time of computing: UTC, ISO 8601."""
    command: str = ""
    outcomes: dict[str, str] = {}
    """Metric → one bit per question, packed, base64; the mean of the bits is the metric."""
    questions: dict[str, int] = {}
    """Metric → how many bits."""

    @property
    def key(self) -> str:
        return hash_identity(self.weights, self.dataset, self.family, self.settings)

    @property
    def file_name(self) -> str:
        return name_file(self.weights, self.dataset, self.family, self.settings)


def hash_identity(weights: str, dataset: str, family: str, settings: dict[str, Any]) -> str:
    """Hash what a result depends on: same weights, set, task and settings give the same key, on any machine."""
    text = json.dumps([weights, dataset, family, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def name_file(weights: str, dataset: str, family: str, settings: dict[str, Any]) -> str:
    """Name the file of a result: `zeroshot-cifar10-0123456789abcdef.json`."""
    return f"{family}-{dataset.replace('/', '-')}-{hash_identity(weights, dataset, family, settings)}.json"


def pack_outcomes(right: Iterable[bool]) -> str:
    """Pack one bit per question, the first one highest, as base64."""
    bits = "".join("1" if one else "0" for one in right)
    count = -(-len(bits) // 8)
    return base64.b64encode(int(bits.ljust(8 * count, "0") or "0", 2).to_bytes(count, "big")).decode("ascii")


def unpack_outcomes(packed: str, count: int) -> list[bool]:
    """Return for each question whether its answer was right; `count` says how many there are."""
    content = base64.b64decode(packed)
    return [bool(content[index // 8] >> (7 - index % 8) & 1) for index in range(count)]


def save_result(result: Result, folder: Path) -> Path:
    """Write one result, whole or not at all.

    Raises:
        RunError: the folder cannot be written.
    """
    path = folder / result.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, result.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise RunError(f"The result cannot be written to {folder}: {error.strerror}. Give another --out.") from None
    return path


def load_result(path: Path) -> Result:
    """Read one result.

    Raises:
        RunError: no result, or a damaged one.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"The result {path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise RunError(
            f"{path} is not a result of pgsclip eval ({error.errors()[0]['msg']}). Delete it to have it made again."
        ) from None


def load_results(folder: Path) -> list[Result]:
    """Read all results of a folder, by name; other files are left alone."""
    names = sorted(path for path in folder.glob("*.json") if not path.name.endswith(GALLERY))
    return [load_result(path) for path in names if path.name.count("-") >= 2]
