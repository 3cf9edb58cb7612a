"""The patches from which hiding grows: drawn among those with little edge (CLIP-PGS, arXiv 2503.17080, section 3.1)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.grid import Grid


def draw_candidates(
    edges: Float[Tensor, "B L"], share: float, generator: torch.Generator, pull: Float[Tensor, " L"] | None = None
) -> Int[Tensor, "B N"]:
    """At random among the half of the patches with the least edge; equal edges fall to either half by chance.

    Args:
        pull: a patch is exp(pull) times as likely to be drawn first; evenly when None.
    """
    batch, count = edges.shape
    wanted = max(1, round(share * count))
    shuffle = torch.rand(batch, count, generator=generator, device=edges.device).argsort(dim=1)
    calmest = shuffle.gather(1, edges.gather(1, shuffle).argsort(dim=1, stable=True))[:, : max(wanted, count // 2)]
    chance = torch.rand(calmest.shape, generator=generator, device=edges.device)
    if pull is not None:  # weighted drawing without putting back: Gumbel noise on the logarithms
        chance = (-chance.clamp(min=1e-12).log()).log() - pull.expand(batch, -1).gather(1, calmest)
    return calmest.gather(1, chance.argsort(dim=1)[:, :wanted])


def nearness_to_rim(grid: Grid, device: torch.device) -> Float[Tensor, " L"]:
    """0 in the middle of the picture, 1 on its outermost ring, by the farther of the two axes."""
    down, across = (torch.linspace(-1, 1, length, device=device).abs() for length in (grid.rows, grid.columns))
    return torch.maximum(down[:, None], across[None, :]).flatten()
