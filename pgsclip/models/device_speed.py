"""How fast this machine multiplies matrices and moves memory: what anything else is measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

_SIDES = {"cuda": 8192}
_SIDE = 1536
_SMALLER = (1024, 768, 512, 384)
_FIRST = 256
_ROUNDS = 5
_COPIED = 2**26
"""Bytes of the copied tensor: more than caches hold."""


def matrix_rate(device: torch.device, dtype: torch.dtype, *, seconds: float | None = None) -> float:
    """Multiplications and additions per second of a product of two large square matrices; the median of five.

    Args:
        seconds: about how long this may take; smaller matrices are taken where the device is slow.
    """
    side = _SIDES.get(device.type, _SIDE)
    if seconds is not None and device.type not in _SIDES:
        _, warm = _products(_FIRST, 2, device, dtype)
        affordable = seconds / (_ROUNDS + 1) * 2 * _FIRST**3 / warm
        side = next((one for one in (side, *_SMALLER) if 2 * one**3 <= affordable), _FIRST)
    return 2 * side**3 / median(_products(side, _ROUNDS + 1, device, dtype)[1:])


def _products(side: int, rounds: int, device: torch.device, dtype: torch.dtype) -> list[float]:
    """Seconds of each product; the first one also pays for what is loaded and allocated."""
    left = torch.randn(side, side, device=device, dtype=dtype)
    right = torch.randn(side, side, device=device, dtype=dtype)
    return _timed(lambda: left @ right, rounds, device)


def copy_rate(device: torch.device) -> float:
    """Bytes per second that a copy of a large tensor reads and writes, taken together; the median of five."""
    source = torch.zeros(_COPIED // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED / median(_timed(lambda: target.copy_(source), _ROUNDS + 1, device)[1:])


def _timed(work: Callable[[], object], rounds: int, device: torch.device) -> list[float]:
    took = []
    for _ in range(rounds):
        wait_for(device)
        began = time.perf_counter()
        work()
        wait_for(device)
        took.append(time.perf_counter() - began)
    return took


def wait_for(device: torch.device) -> None:
    """Until the device has done all it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
