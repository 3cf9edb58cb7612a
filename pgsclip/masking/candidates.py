"""The patches from which hiding grows: drawn among those with little edge (CLIP-PGS, arXiv 2503.17080, section 3.1)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.grid import Grid


def draw_candidates(
    edges: Float[Tensor, "B L"], share: float, generator: torch.Generator, bias: Float[Tensor, " L"] | None = None
) -> Int[Tensor, "B N"]:
    """Draw patches at random among the half with the least edge; equal edges fall to either half by chance.

    Args:
        share: of all patches, at least one.
        bias: a patch is exp(bias) times as likely to be drawn first; evenly when None.
    """
    batch, count = edges.shape
    wanted = max(1, round(share * count))
    shuffle = torch.rand(batch, count, generator=generator, device=edges.device).argsort(dim=1)
    calmest = shuffle.gather(1, edges.gather(1, shuffle).argsort(dim=1, stable=True))[:, : max(wanted, count // 2)]
    order = torch.rand(calmest.shape, generator=generator, device=edges.device)
    if bias is not None:  # weighted drawing without putting back: Gumbel noise on the logarithms
        order = (-order.clamp(min=1e-12).log()).log() - bias.expand(batch, -1).gather(1, calmest)
    return calmest.gather(1, order.argsort(dim=1)[:, :wanted])


def nearness_to_border(grid: Grid, device: torch.device) -> Float[Tensor, " L"]:
    """Measure how near each patch is to the border: 0 in the middle, 1 on the outermost ring, by the farther axis."""
    down, across = (torch.linspace(-1, 1, length, device=device).abs() for length in (grid.rows, grid.columns))
    return torch.maximum(down[:, None], across[None, :]).flatten()
