"""Entropic optimal transport between the patches of an image: similarity, balanced so that no patch is a hub.

CLIP-PGS (arXiv 2503.17080, section 3.3) normalises the similarity matrix by optimal transport. Ours is Sinkhorn's
alternating scaling (Cuturi, arXiv 1306.0895) of the positive kernel exp(similarity / temperature) with uniform
marginals; the released code scales signed cosines, which does not converge (docs/fidelity.md).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def transport_plan(similarity: Float[Tensor, "B L M"], temperature: float, iterations: int) -> Float[Tensor, "B L M"]:
    """A plan whose rows sum to 1/L and whose columns sum to 1/M, each up to the rounds not run.

    Works on the kernel itself rather than its logarithm, five times as fast: with cosines in [-1, 1] its entries span
    exp(2 / temperature), far inside float32 for any temperature above 0.03.

    Args:
        similarity: any values in [-1, 1].
        temperature: above 0.03; small ones sharpen the plan and slow its convergence.
        iterations: rounds; each scales rows, then columns.
    """
    with torch.autocast(similarity.device.type, enabled=False):
        largest = similarity.float().amax(dim=(1, 2), keepdim=True)
        kernel = torch.exp((similarity.float() - largest) / temperature)
        rows, columns = kernel.shape[1:]
        right = kernel.new_full((len(kernel), columns, 1), 1 / columns)
        left = kernel.new_full((len(kernel), rows, 1), 1 / rows)
        for _ in range(iterations):
            left = 1 / (rows * (kernel @ right))
            right = 1 / (columns * (kernel.mT @ left))
        return left * kernel * right.mT


def symmetric_plan(similarity: Float[Tensor, "B L L"], temperature: float, iterations: int) -> Float[Tensor, "B L L"]:
    """The same plan for a symmetric similarity, whose two scalings are one: x = sqrt(x / (L * kernel x)).

    Half the work a round, and it converges geometrically where the alternating one creeps (Knight, Ruiz and Ucar,
    "A Symmetry Preserving Algorithm for Matrix Scaling", SIAM J. Matrix Anal. Appl. 2014): on photographs at
    temperature 0.05 marginals are met within 4e-4 of their value after 10 rounds, against 9e-2.
    """
    with torch.autocast(similarity.device.type, enabled=False):
        largest = similarity.float().amax(dim=(1, 2), keepdim=True)
        kernel = torch.exp((similarity.float() - largest) / temperature)
        count = kernel.shape[1]
        scale = (count * kernel.sum(dim=2, keepdim=True)).rsqrt()
        for _ in range(iterations):
            scale = (scale / (count * (kernel @ scale))).sqrt()
        return scale * kernel * scale.mT


def balanced_similarity(
    similarity: Float[Tensor, "B L L"], temperature: float, iterations: int
) -> Float[Tensor, "B L L"]:
    """The plan of a symmetric similarity, in that similarity's units: `temperature * log(L * L * plan)`.

    A plan's entries span orders of magnitude, because a patch that resembles nothing keeps its mass to itself; their
    logarithm is the cosine plus what balancing takes from hubs and gives to loners, and can be weighed against edges.
    """
    plan = symmetric_plan(similarity, temperature, iterations)
    return temperature * torch.log(plan * similarity.shape[1] ** 2 + torch.finfo(plan.dtype).tiny)
