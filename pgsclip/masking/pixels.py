"""Images as grids of patches: the shapes and colours that maskers look at."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from pgsclip.grid import Grid

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_LUMA = (0.299, 0.587, 0.114)


def patchify(images: Float[Tensor, "B C H W"], grid: Grid) -> Float[Tensor, "B L P"]:
    """(B, L, C*side*side), patches row by row from the top left, as the patch embedding sees them."""
    batch, channels, _, _ = images.shape
    rows, columns, side = grid
    cut = images.reshape(batch, channels, rows, side, columns, side)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, channels * side * side)


def coarsen(grid: Grid, cells: int | None) -> Grid:
    """Return the grid after averaging squares of pixels, the largest that leave `cells` a side of each patch.

    A side that `cells` does not divide leaves more, one of fewer pixels all of them; None leaves every pixel.
    """
    cells = grid.side if cells is None else cells
    fits = (square for square in range(1, grid.side + 1) if grid.side % square == 0 and grid.side // square >= cells)
    return Grid(grid.rows, grid.columns, grid.side // max(fits, default=1))


def shrink(images: Float[Tensor, "B C H W"], grid: Grid, small: Grid) -> Float[Tensor, "B C h w"]:
    """Images of one grid as another of the same patches with fewer pixels, each the mean of a square."""
    square = grid.side // small.side
    return images if square == 1 else F.avg_pool2d(images.float(), square)


def normalise_pixels(image: UInt8[np.ndarray, "H W 3"]) -> Float[Tensor, "3 H W"]:
    """RGB in CLIP's normalisation."""
    pixels = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
    mean, std = (torch.tensor(value).reshape(3, 1, 1) for value in (CLIP_MEAN, CLIP_STD))
    return (pixels - mean) / std


def luminance(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B H W"]:
    """Rec. 601 luma in [0, 1] of images in CLIP's normalisation.

    Models with another mean and deviation give a luma that differs by a factor and an offset per channel, which
    moves no edge by much; edges are scaled per image in any case.
    """
    scale = _luma_scale(images.device)
    offset = float(sum(weight * mean for weight, mean in zip(_LUMA, CLIP_MEAN, strict=True)))
    return torch.einsum("bchw,c->bhw", images.float(), scale) + offset


@cache
def _luma_scale(device: torch.device) -> Float[Tensor, " 3"]:
    """Kept, as every copy from the CPU waits until a GPU has done all that it was given."""
    with torch.inference_mode(False):
        return torch.tensor(_LUMA, device=device) * torch.tensor(CLIP_STD, device=device)


def patch_means(values: Float[Tensor, "B H W"], grid: Grid) -> Float[Tensor, "B L"]:
    """Mean of a per-pixel map over each patch."""
    rows, columns, side = grid
    return values.reshape(-1, rows, side, columns, side).mean(dim=(2, 4)).reshape(-1, rows * columns)
