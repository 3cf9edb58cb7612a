"""What only the plain engine does; what it shares with the other is in `test_base.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("trial", ["torch-alone", "torch-two", "torch-timm", "torch-bf16"])
def test_deepspeed_is_not_imported_for_it(trial: str, found: Callable[[str], dict[str, Any]]) -> None:
    assert not found(trial)["deepspeed"]
