"""Our own small models, described as open_clip describes its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import open_clip


@cache
def register_own_models() -> None:
    """Make our own small models known to open_clip."""
    open_clip.add_model_config(Path(__file__).parent / "configs")
