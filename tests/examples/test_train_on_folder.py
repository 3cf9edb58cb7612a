from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_it_learns_from_generated_pictures_and_is_judged_on_unseen_ones(
    example: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    example("train_on_folder", "--steps", "15")
    run = Path("runs/example-folder/run")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    said = " ".join(capsys.readouterr().out.split())
    assert "pgsclip-smoke on 240 images in pictures/; pgs, 0.5 of the patches hidden" in said
    found = re.search(r"recall@5 among 96 held-out pairs of unseen: image to text ([\d.]+)%.*\(chance 5.2%\)", said)
    assert found is not None
    assert float(found[1]) > 10
    assert (run / "checkpoints" / "step-00000015" / "open_clip_model.safetensors").is_file()
