"""What a run folder or a folder of results holds, for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pgsclip.config.resolve import check
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError, RunError
from pgsclip.results.result import GALLERY, Result, load_result, load_results

Row = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """One run, or one set of results without a run."""

    name: str
    folder: Path
    results: list[Result]
    galleries: list[dict[str, Any]]
    config: RunConfig | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    training: list[Row] = field(default_factory=list)
    """Rows of metrics.jsonl with a loss, each with `seconds` since the start."""
    evaluations: list[Row] = field(default_factory=list)

    @property
    def reference(self) -> str:
        """The row of the paper that hides patches as this run does."""
        if self.config is None:
            return "CLIP"
        masker = self.config.masker
        known = {"random": "FLIP", "cluster": "E-CLIP", "attention": "A-CLIP"}
        if masker.name == "pgs":
            return "CLIP-PGS-0.3" if masker.ratio.is_range or masker.ratio.low < 0.4 else "CLIP-PGS-0.5"
        return known.get(masker.name, "CLIP")


def open_subject(path: Path) -> list[Subject]:
    """A run folder is one subject; a folder of results or one result may hold several models.

    Raises:
        RunError: nothing that a report could be made of.
    """
    if (path / "config.yaml").is_file():
        return [_run(path)]
    if path.is_dir():
        results, galleries = load_results(path), _galleries(path)
    elif path.is_file():
        results, galleries = [load_result(path)], []
    else:
        raise RunError(
            f"There is no run folder or result {path}. Give the --out of `pgsclip train` or of `pgsclip eval`."
        )
    if not results:
        raise RunError(f"{path} holds neither a run (config.yaml) nor results of `pgsclip eval`.")
    models: dict[str, list[Result]] = {}
    for result in results:
        models.setdefault(result.weights, []).append(result)
    subjects = []
    for weights, own in models.items():
        name = (
            own[0].model
            if len({one[0].model for one in models.values()}) == len(models)
            else f"{own[0].model} {weights[:6]}"
        )
        subjects.append(Subject(name, path, own, galleries if len(models) == 1 else []))
    return subjects


def _run(path: Path) -> Subject:
    try:
        config = check(yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError, UnicodeDecodeError, ConfigError) as error:
        raise RunError(f"The config of the run {path} cannot be read: {' '.join(str(error).split())}") from None
    rows = read_rows(path / "metrics.jsonl")
    training = with_seconds([row for row in rows if "loss" in row])
    evaluations = [row for row in rows if any(key.startswith("eval/") for key in row)]
    return Subject(
        name=path.resolve().name,
        folder=path,
        results=newest(load_results(path / "eval")) if (path / "eval").is_dir() else [],
        galleries=_galleries(path / "eval"),
        config=config,
        environment=_json(path / "environment.json"),
        training=training,
        evaluations=evaluations,
    )


def read_rows(path: Path) -> list[Row]:
    """The rows of metrics.jsonl; a last line cut short by a crash is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def with_seconds(rows: list[Row]) -> list[Row]:
    """Each row with the seconds of training up to it, from its samples and their rate."""
    seconds, before = 0.0, 0
    found = []
    for row in rows:
        seconds += (row["samples"] - before) / max(row["samples_per_s"], 1e-9)
        before = row["samples"]
        found.append({**row, "seconds": seconds})
    return found


def newest(results: list[Result]) -> list[Result]:
    """Of a run that was evaluated at several checkpoints, the weights with the most results, ties to the last."""
    counts: dict[str, int] = {}
    for result in results:
        counts[result.weights] = counts.get(result.weights, 0) + 1
    if not counts:
        return []
    best = max(counts, key=lambda weights: counts[weights])
    return [result for result in results if result.weights == best]


def _galleries(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob(f"*{GALLERY}")) if folder.is_dir() else []
    seen: dict[str, dict[str, Any]] = {}
    for path in paths:
        content = _json(path)
        if content:
            seen.setdefault(content["dataset"], content)
    return list(seen.values())


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
