"""The factor on the cosines: exp of a trained parameter, capped (arXiv 2103.00020, section 2.5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pgsclip.distributed import mean_over_ranks


class CappedExp(torch.autograd.Function):
    """exp(min(x, cap)) of `logit_scale`; the inverse of the temperature.

    CLIP clamps the parameter after each step. ZeRO may have split or copied it, so here it is left as it is, and the
    gradient does what the clamp did: above the cap it may lower the parameter and never raises it further.

    Whether it would raise it is decided by the mean over processes. Each rank sees the gradient of its own share of the
    batch; ranks that dropped theirs one by one would together lower a parameter that the whole batch wants held.
    """

    @staticmethod
    def forward(ctx: Any, log_scale: Tensor, cap: float) -> Tensor:
        """Return the factor, float32, of the same shape as `log_scale`; `cap` is on the logarithm."""
        value = log_scale.float().clamp(max=cap).exp()
        ctx.save_for_backward(value, log_scale > cap)
        return value

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        value, above = ctx.saved_tensors
        gradient = mean_over_ranks(grad_output * value)
        return torch.where(above & (gradient < 0), torch.zeros_like(gradient), gradient), None
