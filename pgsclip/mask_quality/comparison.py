"""`pgsclip bench masks`: every masker on the same pictures, at the same ratios."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgsclip.config.ratio import Ratio
from pgsclip.errors import MaskerError
from pgsclip.grid import Grid
from pgsclip.mask_quality.examples import Example
from pgsclip.mask_quality.mask_metrics import MaskMetrics, find_ground_truth, measure_masks
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.masking.pixels import patchify
from pgsclip.masking.selection import select, select_each
from pgsclip.seeding import derive
from pgsclip.statistics import Interval, bootstrap_mean

_BATCH = 50


@dataclass(frozen=True)
class MaskerRow:
    """One masker at one ratio, over all pictures."""

    masker: str
    ratio: str
    recall: Interval
    removed: Interval
    edges: Interval
    overlap: Interval
    kept: Interval
    kept_spread: float
    """Standard deviation of the kept share over images."""
    milliseconds: float
    """Milliseconds of scoring and selecting per image, median over batches."""
    recall_by_group: dict[str, Interval]


def compare_maskers(
    examples: list[Example],
    maskers: list[MaskerHandle],
    ratios: list[Ratio],
    *,
    patch_size: int,
    views: int = 2,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[MaskerRow]:
    """Measure each masker at each ratio, in the order given. `none` keeps everything, so it comes once.

    Args:
        examples: all of one size, a multiple of `patch_size`.
        views: masks drawn per image; each metric is their mean, overlap compares them.
        on_progress: told the pictures, masker and ratio that are next.

    Raises:
        MaskerError: pictures that cannot be cut into patches, or a range for a masker that cannot choose.
    """
    height, width = examples[0].mask.shape
    if height % patch_size or width % patch_size:
        raise MaskerError(
            f"Pictures of {height} x {width} pixels cannot be cut into patches of {patch_size}; "
            f"give an --image-size that is a multiple of --patch-size."
        )
    grid = Grid(height // patch_size, width // patch_size, patch_size)
    pairs = [(handle, ratio) for handle in maskers for ratio in _list_ratios(handle, ratios)]
    batches = [examples[start : start + _BATCH] for start in range(0, len(examples), _BATCH)]
    collected: list[list[MaskMetrics]] = [[] for _ in pairs]
    times: list[list[float]] = [[] for _ in pairs]
    for number, batch in enumerate(batches):
        images = torch.stack([example.pixels for example in batch])
        truth = find_ground_truth(images, torch.stack([example.mask for example in batch]), grid)
        for place, (handle, ratio) in enumerate(pairs):
            first = number * _BATCH
            on_progress(f"pictures {first} to {first + len(batch)} of {len(examples)}: {handle.name} {ratio}")
            found, took = _draw_views(handle, ratio, images, grid, views, derive("bench masks", seed, number))
            collected[place].append(measure_masks(found, truth))
            times[place].append(took / len(batch))
    groups = [example.group for example in examples]
    return [
        _summarise(handle.name, ratio, parts, median(took), groups)
        for (handle, ratio), parts, took in zip(pairs, collected, times, strict=True)
    ]


def to_json(rows: list[MaskerRow]) -> list[dict[str, Any]]:
    """Return the rows for `--json`: intervals as {mean, low, high}; a figure that does not exist is null."""
    return [
        {
            "masker": row.masker,
            "ratio": row.ratio,
            **{name: _to_object(getattr(row, name)) for name in ("recall", "removed", "edges", "overlap", "kept")},
            "kept_spread": row.kept_spread,
            "milliseconds": row.milliseconds,
            "recall_by_group": {group: _to_object(found) for group, found in row.recall_by_group.items()},
        }
        for row in rows
    ]


def _list_ratios(handle: MaskerHandle, ratios: list[Ratio]) -> list[Ratio]:
    """The ratios to measure a masker at; for one that hides nothing they are all 0, and one measurement will do."""
    return list(dict.fromkeys(handle.check_ratio(ratio) for ratio in ratios))


@torch.no_grad()
def _draw_views(
    handle: MaskerHandle, ratio: Ratio, images: Tensor, grid: Grid, views: int, seed: int
) -> tuple[list[Tensor], float]:
    """Kept patches as (B, L) bool for each view, and the milliseconds of the fastest one."""
    patches = patchify(images, grid)
    found, times = [], []
    for view in range(views):
        generator = torch.Generator().manual_seed(derive(seed, view))
        began = time.perf_counter()
        scores = handle.score(MaskInputs(images, patches, grid, 0.0, generator))
        kept = (
            select_each(scores, ratio, generator)
            if ratio.is_range
            else select(scores.keep.float(), ratio.high, generator)
        )
        times.append((time.perf_counter() - began) * 1000)
        shown = torch.zeros(len(images), grid.patches, dtype=torch.bool)
        for row, places in zip(shown, kept, strict=True):
            row[places] = True
        found.append(shown)
    return found, min(times)


def _summarise(name: str, ratio: Ratio, parts: list[MaskMetrics], took: float, groups: list[str]) -> MaskerRow:
    whole = MaskMetrics(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    kinds = np.array(groups)
    by_group = {group: bootstrap_mean(whole.recall[kinds == group]) for group in dict.fromkeys(groups)}
    means = {column: bootstrap_mean(values) for column, values in whole._asdict().items()}
    spread = float(whole.kept.std())
    return MaskerRow(name, str(ratio), **means, kept_spread=spread, milliseconds=took, recall_by_group=by_group)


def _to_object(found: Interval) -> dict[str, float | None]:
    named = {"mean": found.value, "low": found.low, "high": found.high}
    return {name: None if np.isnan(value) else value for name, value in named.items()}
