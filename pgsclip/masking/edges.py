"""How much edge a patch holds: the part of PGS that protects objects.

CLIP-PGS (arXiv 2503.17080, section 3.2) asks for edge detection before candidates are chosen. At pixel resolution
the strongest edges of a photograph are grass, gravel and brick; on squares as large as a patch what is left is where
things end. docs/fidelity.md has the figures.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pgsclip import opencv as cv2
from pgsclip.grid import Grid
from pgsclip.masking.pixels import luminance, patch_means

_FLAT = 1e-5
"""Gradient of luma below which a whole image counts as flat: rounding noise is no edge."""


def sobel_edges(images: Float[Tensor, "B 3 H W"], grid: Grid, scale: float = 0.0) -> Float[Tensor, "B L"]:
    """Mean Sobel magnitude of each patch, in [0, 1] with the strongest patch of an image at 1; flat images are 0.

    Args:
        scale: side of the squares whose mean luma the gradient is taken of, as a share of a patch: 0 is a pixel, 1 a
            patch; rounded down to a side that divides the patch.
    """
    square = max(
        side for side in range(1, grid.side + 1) if grid.side % side == 0 and side <= max(1, scale * grid.side)
    )
    cells = Grid(grid.rows * (grid.side // square), grid.columns * (grid.side // square), square)
    means = patch_means(luminance(images), cells).reshape(-1, cells.rows, cells.columns)
    return _scaled(patch_means(sobel_magnitude(means), Grid(grid.rows, grid.columns, grid.side // square)))


def canny_edges(
    images: Float[Tensor, "B 3 H W"], grid: Grid, low: float = 100.0, high: float = 200.0
) -> Float[Tensor, "B L"]:
    """Share of Canny pixels in each patch (OpenCV, 8 bit, on the CPU), scaled like `sobel_edges`."""
    gray = (luminance(images).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    found = np.stack([cv2.Canny(image, low, high) for image in gray])
    pixels = torch.from_numpy(found).to(images.device).float() / 255
    return _scaled(patch_means(pixels, grid))


def sobel_magnitude(gray: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Length of the Sobel gradient (kernels 1-2-1), border mirrored without its edge pixel, as OpenCV's default.

    Separable: two differences and two smoothings, four additions a pixel instead of two 3 x 3 convolutions.
    """
    mode = "reflect" if min(gray.shape[1:]) > 1 else "replicate"  # a line of pixels has nothing to mirror
    padded = F.pad(gray.unsqueeze(1), (1, 1, 1, 1), mode=mode).squeeze(1)
    smooth_down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    smooth_across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    across = smooth_down[:, :, 2:] - smooth_down[:, :, :-2]
    down = smooth_across[:, 2:] - smooth_across[:, :-2]
    return torch.hypot(across, down)


def _scaled(edges: Tensor) -> Tensor:
    strongest = edges.amax(dim=1, keepdim=True)
    return torch.where(strongest > _FLAT, edges / strongest.clamp(min=_FLAT), torch.zeros_like(edges))
