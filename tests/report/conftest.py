"""Results and runs as they lie on disk, made of known answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgsclip.config.resolve import check, to_yaml
from pgsclip.results.result import Result, save_result
from pgsclip.results.suites import MAIN_METRIC


@pytest.fixture
def result() -> Callable[..., Result]:
    """`result("zeroshot", "pets", 30, 100)`: 30 of 100 answers are right, the first 30."""

    def make(family: str, dataset: str, right: int, count: int = 100, weights: str = "w", metric: str = "") -> Result:
        bits = np.arange(count) < right
        name = metric or MAIN_METRIC[family]
        return Result(
            model="ours",
            architecture="ViT-B-16",
            weights=weights,
            dataset=dataset,
            family=family,
            settings={"data": "same"},
            metrics={name: right / count},
            chance={name: 0.1},
            samples=count,
            seconds=1.0,
            command="pgsclip eval all <x>",
            outcomes={name: base64.b64encode(np.packbits(bits).tobytes()).decode()},
            questions={name: count},
        )

    return make


@pytest.fixture
def run(tmp_path: Path, result: Callable[..., Result]) -> Callable[..., Path]:
    """`run("a", masker="pgs", ratio=0.5)`: a finished run of three log rows, two evaluations and one result."""

    def make(name: str, masker: str = "random", ratio: object = 0.5, right: int = 40, seed: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        settings = {"masker": {"name": masker, "ratio": ratio}, "model": {"name": "pgsclip-smoke"}}
        config = check({**settings, "seed": seed, "out": name})
        (folder / "config.yaml").write_text(to_yaml(config))
        (folder / "environment.json").write_text(
            json.dumps({"command": f"pgsclip train --out {name}", "packages": {"torch": "2.15"}})
        )
        rows = [
            {"step": s, "samples": 100 * s, "loss": 5.0 - s, "patches_kept": 0.5, "samples_per_s": 50.0}
            for s in (1, 2, 3)
        ] + [{"step": s, "eval/generated/acc1": 0.1 * s} for s in (2, 3)]
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 4, "lo')
        save_result(result("zeroshot", "clipart", right), folder / "eval")
        return folder

    return make
