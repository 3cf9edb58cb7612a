"""Examples are run as their page says, but in this process and in an empty folder."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`example("own_masker")` runs the script and returns its names; options are those of its command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))  # where Python looks first when it runs a script there

    def run(name: str, *options: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
        return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")

    return run
