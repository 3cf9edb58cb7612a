"""Novelty of each patch against the border of its picture, in colour and texture."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from pgsclip.grid import Grid
from pgsclip.masking.pixels import CLIP_MEAN, CLIP_STD, patch_means
from pgsclip.masking.similarity import take_rows

_BANDWIDTH = 2.0
"""Width of the density of the border, in its own distances. Between 1 and 8 recall differs by less than 0.01."""
_NEAREST = 3
"""Neighbours whose mean distance is a border patch's distance to its own kind."""
_FLOOR = 0.02
"""Distance that is added to the border's own, as a share of black to white: a perfectly flat sky still
has a camera's noise."""
_FAR = 1e9


def appearance(images: Float[Tensor, "B 3 H W"], grid: Grid, colour: float, texture: float) -> Float[Tensor, "B L F"]:
    """Describe each patch: mean and deviation of brightness and two opponent colours, mean gradient across and down.

    All are in shares of black to white. Opponent colours and not Lab, which keeps no more of any object and takes five
    times as long.
    """
    scale, offset = (images.new_tensor(v, dtype=torch.float32).reshape(1, 3, 1, 1) for v in (CLIP_STD, CLIP_MEAN))
    red, green, blue = (images.float() * scale + offset).unbind(dim=1)
    bright = (red + green + blue) / 3
    channels = torch.stack([bright, colour * (red - green), colour * ((red + green) / 2 - blue)], dim=1)
    mean = _means(channels, grid)
    deviation = (_means(channels**2, grid) - mean**2).clamp(min=0).sqrt()
    across = F.pad((bright[:, :, 1:] - bright[:, :, :-1]).abs(), (0, 1))
    down = F.pad((bright[:, 1:] - bright[:, :-1]).abs(), (0, 0, 0, 1))
    return torch.cat([mean, texture * deviation, texture * _means(torch.stack([across, down], dim=1), grid)], dim=-1)


def novelty(appearances: Float[Tensor, "B L F"], border: Int[Tensor, "B N"]) -> Float[Tensor, "B L"]:
    """Score each patch by its negative log density among the border's; near 0 for one that sits among them.

    A patch of the border is left out of its own density. It is a density rather than the distance to the nearest
    neighbour because objects are cut by the border: the few border patches that an object covers then make it less
    novel, and not usual.
    """
    others = border.shape[1]
    with torch.autocast(appearances.device.type, enabled=False):
        own_border = take_rows(appearances, border)
        distance = torch.cdist(appearances, own_border, compute_mode="donot_use_mm_for_euclid_dist")
    places = torch.arange(appearances.shape[1], device=border.device)
    itself: Bool[Tensor, "B L N"] = places[None, :, None] == border[:, None, :]
    nearest = distance.masked_fill(itself, _FAR).topk(min(_NEAREST, others - 1), dim=2, largest=False).values
    own = nearest.mean(dim=2).gather(1, border).median(dim=1).values + _FLOOR
    density = torch.logsumexp((-distance / (_BANDWIDTH * own[:, None, None])).masked_fill(itself, -_FAR), dim=2)
    return math.log(others) - density


def smooth(values: Float[Tensor, "B L"], grid: Grid, share: float) -> Float[Tensor, "B L"]:
    """Blend each patch by `share` with the mean of the 3 x 3 around it; the outermost ring repeats beyond it."""
    field = values.reshape(-1, 1, grid.rows, grid.columns)
    around = F.avg_pool2d(F.pad(field, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.lerp(field, around, share).reshape(values.shape)


def _means(fields: Float[Tensor, "B C H W"], grid: Grid) -> Float[Tensor, "B L C"]:
    batch, channels, height, width = fields.shape
    return patch_means(fields.reshape(-1, height, width), grid).reshape(batch, channels, -1).mT
