"""Entropic optimal transport between the patches of an image: similarity, balanced so that no patch is a hub.

CLIP-PGS (arXiv 2503.17080, section 3.3) normalises the similarity matrix by optimal transport. Ours is Sinkhorn's
scaling (Cuturi, arXiv 1306.0895) of the positive kernel exp(similarity / temperature) with uniform marginals; the
released code scales signed cosines, which does not converge (docs/fidelity.md).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsclip.masking.similarity import take_rows


def balanced_similarity(
    similarity: Float[Tensor, "B L L"], temperature: float, iterations: int, rows: Int[Tensor, "B N"] | None = None
) -> Float[Tensor, "B N L"]:
    """The plan of a symmetric similarity, in that similarity's units: `temperature * log(L * L * plan)`.

    A plan's entries span orders of magnitude, because a patch that resembles nothing keeps its mass to itself; their
    logarithm is the cosine plus what balancing takes from hubs and gives to loners, and can be weighed against edges.
    The plan itself, whose rows and columns each sum to 1 / L up to the rounds not run, is never formed.

    Args:
        similarity: any values in [-1, 1].
        temperature: above 0.03, where a kernel of cosines still fits float32; small ones sharpen the plan and slow its
            convergence.
        iterations: rounds of scaling.
        rows: of the plan that are wanted; all when None.
    """
    with torch.autocast(similarity.device.type, enabled=False):
        similarity = similarity.float()
        largest = similarity.amax(dim=(1, 2), keepdim=True)
        shift = temperature * _scaling(torch.exp((similarity - largest) / temperature), iterations).log()
        if rows is None:
            own = shift
        else:
            similarity, own = take_rows(similarity, rows), shift.gather(1, rows)
        constant = 2 * temperature * math.log(shift.shape[1])
        return similarity + (own.unsqueeze(2) + shift.unsqueeze(1) + (constant - largest))


def _scaling(kernel: Float[Tensor, "B L L"], iterations: int) -> Float[Tensor, "B L"]:
    """x with `x * kernel * x` of uniform marginals: rows and columns of a symmetric kernel have one scaling.

    Rounds of x = sqrt(x / (L * kernel x)) are half the work of alternating ones and converge geometrically where those
    creep (Knight, Ruiz and Ucar, "A Symmetry Preserving Algorithm for Matrix Scaling", SIAM J. Matrix Anal. Appl.
    2014): on photographs at temperature 0.05 marginals are met within 4e-4 of their value after 10 rounds, against
    9e-2 for the same number of alternating ones.
    """
    count = kernel.shape[1]
    scale = (count * kernel.sum(dim=2)).rsqrt()
    for _ in range(iterations):
        scale = (scale / (count * _times(kernel, scale))).sqrt()
    return scale


def _times(kernel: Float[Tensor, "B L L"], vector: Float[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Matrix times vector. On a CPU the batched product is five times as slow as multiplying and adding up."""
    if kernel.device.type == "cpu":
        return (kernel * vector.unsqueeze(1)).sum(dim=2)
    return (kernel @ vector.unsqueeze(2)).squeeze(2)
