"""What a run folder or a folder of results holds, for the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pgsclip.config.resolve import check
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError, RunError
from pgsclip.results.result import GALLERY, Result, load_result, load_results

Row = dict[str, Any]

_RENAMED = {
    "temperature": "logit_scale",
    "alike": "image_similarity",
    "kept": "patches_kept",
    "data_wait": "data_wait_share",
}
"""Figures of metrics.jsonl that had another name once → the present one. Old runs are still to be read."""


@dataclass(frozen=True)
class ReportEntry:
    """One run, or one evaluated model without a run."""

    name: str
    folder: Path
    results: list[Result]
    """One for each set and family of tasks, all of the same weights."""
    galleries: list[dict[str, Any]]
    config: RunConfig | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    training: list[Row] = field(default_factory=list)
    """Rows of metrics.jsonl with a loss, each with `seconds` since the start."""
    evaluations: list[Row] = field(default_factory=list)
    left_out: str = ""
    """A sentence about results of other weights, or of other settings, that are not among `results`."""

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


def read_entries(path: Path) -> list[ReportEntry]:
    """Read what a report shows: a run folder is one entry, results are one for each model that was evaluated.

    Args:
        path: a run folder, a folder of results, or one result.

    Raises:
        RunError: nothing that a report could be made of.
    """
    if (path / "config.yaml").is_file():
        return [_read_run(path)]
    if path.is_dir():
        results = load_results(path)
    elif path.is_file():
        results = [load_result(path)]
    else:
        raise RunError(
            f"There is no run folder or result {path}. Give the --out of `pgsclip train` or of `pgsclip eval`."
        )
    if not results:
        raise RunError(f"{path} holds neither a run (config.yaml) nor results of `pgsclip eval`.")
    models: dict[str, list[Result]] = {}
    for result in results:
        models.setdefault(result.weights, []).append(result)
    unique = len({own[0].model for own in models.values()}) == len(models)
    entries = []
    for weights, own in models.items():
        name = own[0].model if unique else f"{own[0].model} {weights[:6]}"
        shown = latest_of_each_set(own)
        galleries = _galleries(path, shown) if path.is_dir() else []
        entries.append(ReportEntry(name, path, shown, galleries, left_out=_name_left_out(name, own, shown, path)))
    return entries


def _read_run(path: Path) -> ReportEntry:
    try:
        config = check(yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError, UnicodeDecodeError, ConfigError) as error:
        raise RunError(f"The config of the run {path} cannot be read: {' '.join(str(error).split())}") from None
    rows = read_rows(path / "metrics.jsonl")
    training = with_seconds([row for row in rows if "loss" in row])
    evaluations = [row for row in rows if any(key.startswith("eval/") for key in row)]
    name, evaluated = path.resolve().name, path / "eval"
    results = load_results(evaluated) if evaluated.is_dir() else []
    shown = latest_of_each_set(of_latest_weights(results))
    return ReportEntry(
        name=name,
        folder=path,
        results=shown,
        galleries=_galleries(evaluated, shown),
        config=config,
        environment=_json(path / "environment.json"),
        training=training,
        evaluations=evaluations,
        left_out=_name_left_out(name, results, shown, evaluated),
    )


def read_rows(path: Path) -> list[Row]:
    """Read the rows of metrics.jsonl; a last line cut short by a crash is left out.

    Figures that had another name in earlier versions come under the present one.
    """
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append({_RENAMED.get(str(key), str(key)): value for key, value in row.items()})
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


def of_latest_weights(results: Sequence[Result]) -> list[Result]:
    """Of a run that was evaluated at several checkpoints, the results of the one with the highest step.

    Where steps are equal, as after a resume that did steps again, the one that was evaluated last counts.
    """
    if not results:
        return []
    latest = max(results, key=_age).weights
    return [result for result in results if result.weights == latest]


def latest_of_each_set(results: Sequence[Result]) -> list[Result]:
    """Of weights that were evaluated on a set with several settings, the result that was computed last."""
    found: dict[tuple[str, str], Result] = {}
    for result in results:
        key = (result.family, result.dataset)
        if key not in found or _age(found[key]) < _age(result):
            found[key] = result
    return list(found.values())


def _age(result: Result) -> tuple[int, str]:
    """A later result has the larger one."""
    return (-1 if result.step is None else result.step), result.evaluated_at


def _name_left_out(name: str, results: Sequence[Result], shown: Sequence[Result], folder: Path) -> str:
    others = [result for result in results if result.weights != shown[0].weights]
    earlier = len(results) - len(others) - len(shown)
    sentences = []
    if others:
        steps = sorted({result.step for result in others if result.step is not None})
        which = f" (step {', '.join(map(str, steps))})" if steps else ""
        sentences.append(
            f"not shown: {_results(len(others))} of other checkpoints{which}; `pgsclip report {folder}` shows each "
            f"checkpoint as a model of its own."
        )
    if earlier:
        sentences.append(f"not shown: {_results(earlier)} computed earlier with other settings.")
    return f"{name}, {' '.join(sentences)}" if sentences else ""


def _results(count: int) -> str:
    return f"{count} result{'s' if count != 1 else ''}"


def _galleries(folder: Path, results: Sequence[Result]) -> list[dict[str, Any]]:
    """The galleries that were written with these results."""
    paths = [folder / result.file_name.replace(".json", GALLERY) for result in results]
    return [content for path in paths if (content := _json(path))]


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
