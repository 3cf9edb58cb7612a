from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pgsclip.report.cost import build_cost
from pgsclip.report.runs import read_entries

Run = Callable[..., Path]


def test_fewer_patches_cost_less(run: Run) -> None:
    config = read_entries(run("a"))[0].config
    cost = build_cost(config)
    assert 0 < cost(0.5) < cost(1.0)
    assert build_cost(None)(0.5) == 0
