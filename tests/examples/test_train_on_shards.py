from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_shards_are_packed_trained_on_and_one_is_kept_back(
    example: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    example("train_on_shards", "--steps", "4")
    shards = Path("runs/example-shards/shards")
    assert sorted(path.name for path in shards.glob("*.tar")) == [f"train-{n:05}.tar" for n in range(5)] + [
        "val-00000.tar"
    ]
    sizes = json.loads((shards / "sizes.json").read_text())
    assert sum(count for name, count in sizes.items() if name.startswith("train")) == 200
    said = " ".join(capsys.readouterr().out.split())
    assert "240 pairs in 6 shards, 0 left out" in said
    assert "pgs, 0.3:0.5 of the patches hidden; 4 steps of 32 pairs" in said
    assert "among 40 held-out pairs" in said
