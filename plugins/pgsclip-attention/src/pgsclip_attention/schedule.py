"""How slowly the teacher follows."""

from __future__ import annotations

import math


def momentum(base: float, progress: float) -> float:
    """Share of the old mean that stays: from `base` to 1 along half a cosine (arXiv 2212.08653, section 3)."""
    return 1 - (1 - base) * (1 + math.cos(math.pi * progress)) / 2
