"""The transport of `pgs` solved to convergence among all patches, by POT: what the fast solver is measured against.

POT (Flamary et al., "POT: Python Optimal Transport", JMLR 2021) iterates in the log domain, here in float64.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip.errors import MaskerError

_ROUNDS = 20_000
_MET = 1e-6
"""Largest error of a marginal, as a share of 1 / L, that counts as converged."""


def solve_exactly(similarity: Float[Tensor, "B L L"], temperature: float) -> Float[Tensor, "B L"]:
    """Solve the balance of `transport.solve_potentials` exactly; float32, in the similarity's units.

    Args:
        similarity: of all patches to all, symmetric.

    Raises:
        MaskerError: it does not converge; a larger temperature does.
    """
    from ot.batch import solve_batch  # takes a second, and only this solver wants it

    count = similarity.shape[1]
    with torch.autocast(similarity.device.type, enabled=False):
        cosines = similarity.double()
        found = solve_batch(
            -cosines, reg=temperature, max_iter=_ROUNDS, tol=1e-12, method="log_sinkhorn", grad="detach"
        )
        plan: Tensor = found.plan
        error = max(float((count * plan.sum(dim=side) - 1).abs().max()) for side in (1, 2))
        if not error <= _MET:  # also where it is NaN
            raise MaskerError(
                f"The transport did not converge: a marginal is {error:.1e} of its value off after {_ROUNDS} rounds of "
                f"POT. Set masker.params.temperature higher (it is {temperature:g}), or masker.params.solver=scaling."
            )
        # plan = exp((similarity + p_i + p_j) / temperature) / L**2, so the diagonal alone tells every p. A patch is
        # most like itself, so nothing on the diagonal underflows.
        own = plan.diagonal(dim1=1, dim2=2)
        return ((temperature * (count**2 * own).log() - cosines.diagonal(dim1=1, dim2=2)) / 2).float()
