from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

SITE = Path(__file__).parents[3] / "docs" / "site"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """`site("stage")`: a script of docs/site, as a module."""
    monkeypatch.syspath_prepend(str(SITE))
    yield importlib.import_module
    for path in SITE.glob("*.py"):
        sys.modules.pop(path.stem, None)
