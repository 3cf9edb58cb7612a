"""How fast this machine multiplies matrices: what any model's arithmetic is measured against."""

from __future__ import annotations

import time
from statistics import median

import torch

_SIDES = {"cuda": 8192}
_SIDE = 1536
_ROUNDS = 5


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Multiplications and additions per second of a product of two large square matrices; the median of five."""
    side = _SIDES.get(device.type, _SIDE)
    left = torch.randn(side, side, device=device, dtype=dtype)
    right = torch.randn(side, side, device=device, dtype=dtype)
    left @ right
    took = []
    for _ in range(_ROUNDS):
        wait_for(device)
        began = time.perf_counter()
        left @ right
        wait_for(device)
        took.append(time.perf_counter() - began)
    return 2 * side**3 / median(took)


def wait_for(device: torch.device) -> None:
    """Until the device has done all it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
