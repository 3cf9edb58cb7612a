from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgsclip.benchmarks import loss_cost as room
from pgsclip.benchmarks.loss_cost import LossCost, bench_loss


def test_medians_of_processes_that_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, int, int, int]] = []

    def measure(loss: str, batch: int, width: int, block: int) -> tuple[float, float]:
        called.append((loss, batch, width, block))
        return float(len(called)), 10.0 * len(called)

    monkeypatch.setattr(room, "_in_a_process", measure)
    monkeypatch.setattr(room, "_fits", lambda batch: batch < 100)
    costs = list(bench_loss([8, 200], width=4, logits_per_chunk=16, repeats=3))
    assert called[:4] == [("clip", 8, 4, 16), ("clip", 8, 4, 0), ("clip", 8, 4, 16), ("clip", 8, 4, 0)]
    assert costs[0] == LossCost("clip", 8, 3.0, 30.0, 4.0, 40.0, products=2 * 3 * 8 * 8 * 4)
    assert (costs[1].batch, costs[1].open_clip_seconds, costs[1].open_clip_peak_mib) == (200, None, None)
    assert [cost.loss for cost in costs] == ["clip", "clip", "siglip", "siglip"]


@pytest.mark.slow
def test_a_real_process_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgsclip.cli.app import main

    figures = tmp_path / "figures.json"
    words = ["bench", "loss", "--batch", "96", "--width", "8", "--logits-per-chunk", "500", "--repeats", "1"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--json", str(figures)])
    assert stop.value.code == 0
    found = json.loads(figures.read_text())
    assert [(one["loss"], one["batch"]) for one in found] == [("clip", 96), ("siglip", 96)]
    assert all(one["seconds"] > 0 and one["open_clip_seconds"] > 0 for one in found)
