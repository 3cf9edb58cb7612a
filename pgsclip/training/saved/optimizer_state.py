"""Adam's memory as checkpoints have it: whole parameters, whatever engine and number of processes wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Adam's names of its two running means."""


@dataclass(frozen=True)
class OptimizerState:
    """The complete state of Adam, and of the loss scale of fp16."""

    moments: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """`exp_avg` and `exp_avg_sq` → parameter name → float32 on the CPU; empty where this rank does not write."""
    steps: int = 0
    """Updates done."""
    scaler: dict[str, float] = field(default_factory=dict)
    """The loss scale of fp16 and its counters."""

    def fitting(self, shapes: Mapping[str, torch.Size]) -> OptimizerState:
        """Leave out the moments of parameters that have another shape now, such as resized position embeddings."""
        moments = {
            key: {name: one for name, one in held.items() if name not in shapes or shapes[name] == one.shape}
            for key, held in self.moments.items()
        }
        return replace(self, moments=moments)
