from __future__ import annotations

import io
from typing import Any

import pytest
import rich.console

from pgsclip.cli import waiting

REAL = rich.console.Console


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, patience: float) -> str:
    screen = io.StringIO()

    def console(**how: Any) -> rich.console.Console:
        return REAL(file=screen, force_terminal=terminal, width=80)

    monkeypatch.setattr(rich.console, "Console", console)
    monkeypatch.setattr(waiting, "_PATIENCE", patience)
    with waiting.show_late_bar("checking") as tell:
        tell(1, 3)
        tell(3, 3)
    return screen.getvalue()


def test_a_bar_appears_for_long_work_in_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "checking" in shown(monkeypatch, terminal=True, patience=-1.0)
    assert shown(monkeypatch, terminal=True, patience=60.0) == ""
    assert shown(monkeypatch, terminal=False, patience=-1.0) == ""
