"""How fast this machine multiplies matrices and moves memory: what anything else is measured against."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch

from pgsclip.turns import seconds_in_turns

_SIDES = {"cuda": 8192}
_SIDE = 1536
_ROUNDS = 5
_COPIED = 2**26
"""Bytes of the copied tensor: more than caches hold."""


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Multiplications and additions per second of a product of two large square matrices; the median of five."""
    side = _SIDES.get(device.type, _SIDE)
    left = torch.randn(side, side, device=device, dtype=dtype)
    right = torch.randn(side, side, device=device, dtype=dtype)
    return 2 * side**3 / _seconds(lambda: left @ right, device)


def copy_rate(device: torch.device) -> float:
    """Bytes per second that a copy of a large tensor reads and writes, taken together; the median of five."""
    source = torch.zeros(_COPIED // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED / _seconds(lambda: target.copy_(source), device)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    took = seconds_in_turns({"it": work}, _ROUNDS, wait=lambda: wait_for(device))
    return median(took["it"])


def wait_for(device: torch.device) -> None:
    """Until the device has done all it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
