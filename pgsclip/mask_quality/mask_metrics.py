"""Mask metrics that need no training: what a mask keeps of the object, the edges and the background of an image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.edges import sobel_magnitude
from pgsclip.masking.pixels import luminance, patch_means


class GroundTruth(NamedTuple):
    """Objects and edges of a batch, before any patch is hidden."""

    objects: Bool[Tensor, "B L"]
    """Patches of the object; at least one per image."""
    edges: Float[Tensor, "B L"]
    """Share of an image's edge energy in each patch; sums to 1, or to 0 for a flat image."""


class MaskMetrics(NamedTuple):
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


def find_ground_truth(images: Float[Tensor, "B 3 H W"], masks: Bool[Tensor, "B H W"], grid: Grid) -> GroundTruth:
    """Find object and edges by patch: the object's are those it covers by half or more, else the most covered ones."""
    cover = patch_means(masks.float(), grid)
    objects = cover >= 0.5
    objects |= ~objects.any(dim=1, keepdim=True) & (cover == cover.amax(dim=1, keepdim=True))
    energy = patch_means(sobel_magnitude(luminance(images)) ** 2, grid)
    return GroundTruth(objects, energy / energy.sum(dim=1, keepdim=True).clamp(min=1e-12))


def measure_masks(views: list[Bool[Tensor, "B L"]], truth: GroundTruth) -> MaskMetrics:
    """Measure each image over its views; `overlap` needs at least two, and is NaN for one.

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
    return MaskMetrics(*(row.numpy() for row in rows))
