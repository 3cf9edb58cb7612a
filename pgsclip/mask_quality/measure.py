"""What a mask is worth without training: figures of single images, and their mean with an interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.edges import sobel_magnitude
from pgsclip.masking.pixels import luminance, patch_means

_RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean over images with its 95 % interval."""

    mean: float
    low: float
    high: float


class Known(NamedTuple):
    """What is known about a batch before any patch is hidden."""

    objects: Bool[Tensor, "B L"]
    """Patches of the object; at least one per image."""
    edges: Float[Tensor, "B L"]
    """Share of an image's edge energy in each patch; sums to 1, or to 0 for a flat image."""


class Figures(NamedTuple):
    """One number per image, averaged over the views of it."""

    recall: Float[np.ndarray, " B"]
    """Share of the object's patches that are kept."""
    removed: Float[np.ndarray, " B"]
    """Share of all other patches that are hidden."""
    edges: Float[np.ndarray, " B"]
    """Share of the edge energy (squared Sobel gradient of the luma) that is kept."""
    overlap: Float[np.ndarray, " B"]
    """Share of the patches of one view that another view of the image also keeps."""
    kept: Float[np.ndarray, " B"]
    """Share of all patches that are kept."""


def known(images: Float[Tensor, "B 3 H W"], masks: Bool[Tensor, "B H W"], grid: Grid) -> Known:
    """A patch belongs to the object when at least half of it does; where none does, the most covered ones."""
    cover = patch_means(masks.float(), grid)
    objects = cover >= 0.5
    objects |= ~objects.any(dim=1, keepdim=True) & (cover == cover.amax(dim=1, keepdim=True))
    energy = patch_means(sobel_magnitude(luminance(images)) ** 2, grid)
    return Known(objects, energy / energy.sum(dim=1, keepdim=True).clamp(min=1e-12))


def figures(views: list[Bool[Tensor, "B L"]], truth: Known) -> Figures:
    """Figures of each image over its views (at least two, or `overlap` says nothing).

    An image that is object everywhere has no background to remove: its `removed` is NaN, and left out of means.
    """
    stacked = torch.stack(views).double()  # (V, B, L)
    objects, others = truth.objects.double(), (~truth.objects).double()
    kept = stacked.sum(dim=2)
    pairs = [
        2 * (stacked[i] * stacked[j]).sum(dim=1) / (kept[i] + kept[j]) for i in range(len(views)) for j in range(i)
    ]
    overlap = torch.stack(pairs).mean(dim=0) if pairs else torch.full_like(kept[0], torch.nan)
    rows = (
        ((stacked * objects).sum(dim=2) / objects.sum(dim=1)).mean(dim=0),
        (((1 - stacked) * others).sum(dim=2) / others.sum(dim=1)).mean(dim=0),
        (stacked * truth.edges.double()).sum(dim=2).mean(dim=0),
        overlap,
        (kept / stacked.shape[2]).mean(dim=0),
    )
    return Figures(*(row.numpy() for row in rows))


def estimate(values: Float[np.ndarray, " B"]) -> Estimate:
    """Mean over images and its 95 % percentile bootstrap interval; the same values give the same interval."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    draws = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))
