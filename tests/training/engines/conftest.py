"""The trials of all engines, run once for all tests of this folder and only when one of them asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ENGINES = {"torch": {"engine": "torch"}} | {f"zero{n}": {"engine": "deepspeed", "stage": n} for n in range(4)}


LOCKED = {"clip": 0.5, "freeze": ["image"]}
TUNED = {"freeze": ["image:1", "text"], "norms": True, "decay": 0.5}


def cell(engine: str, loss: str, world: int, parts: int) -> str:
    return f"{engine}-{loss}-{world}x{parts}"


TRIALS: list[dict[str, Any]] = [
    *({"name": f"{name}-alone", **engine} for name, engine in ENGINES.items()),
    *({"name": f"{name}-two", "world": 2, "clip": 0.5, **engine} for name, engine in ENGINES.items()),
    *(
        {"name": f"{name}-locked", "world": 2, "clip": 0.5, "freeze": ["image"]} | engine
        for name, engine in ENGINES.items()
    ),
    *({"name": f"{name}-tuned", "world": 2} | TUNED | engine for name, engine in ENGINES.items()),
    *({"name": f"{name}-plugged", "world": 2, "plugged": True, **engine} for name, engine in ENGINES.items()),
    {"name": "torch-plugged-1", "plugged": True, **ENGINES["torch"]},
    {"name": "torch-plugged-1x2", "plugged": True, "parts": 2, **ENGINES["torch"]},
    *({"name": f"{name}-timm", "world": 2, "model": "timm", **ENGINES[name]} for name in ("torch", "zero3")),
    *(
        {"name": f"{name}-{p}", "precision": p, **ENGINES[name]}
        for name in ("torch", "zero1")
        for p in ("bf16", "fp16")
    ),
    *(
        {"name": cell(name, loss, world, parts), "loss": loss, "world": world, "parts": parts, "act": "measure"}
        | engine
        for name, engine in ENGINES.items()
        for loss in ("clip", "siglip")
        for world in (1, 2)
        for parts in (1, 2)
    ),
    *(
        {"name": f"{name}-{case}-{step}", "world": world, "masker": "none", "act": "hand over"} | engine
        for name, engine in ENGINES.items()
        for case, worlds in (("unbroken", (2, 2, 2)), ("changing", (2, 1, 2)))
        for step, world in enumerate(worlds)
    ),
    *({"name": f"{name}-skip", "world": 2, "act": "skip"} | engine for name, engine in ENGINES.items()),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker of pytest-xdist takes all of them, so that the trials run once."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("engines"))
            item.add_marker(pytest.mark.timeout(1600))


@pytest.fixture(scope="session")
def trial_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trials")
    # Those of torch first: they look whether deepspeed was imported.
    trials = sorted(TRIALS, key=lambda trial: trial["engine"] == "deepspeed")
    (folder / "trials.json").write_text(json.dumps(trials))
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")},
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "TORCHDYNAMO_DISABLE": "1",  # four seconds less of imports
        "TORCH_EXTENSIONS_DIR": str(folder / "compiled"),
    }
    command = [sys.executable, "-P", str(Path(__file__).parent / "trials.py"), str(folder)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture(scope="session")
def found(trial_folder: Path) -> Callable[[str], dict[str, Any]]:
    """`found("zero3-two")`: what that trial came to."""

    def read(name: str) -> dict[str, Any]:
        error = trial_folder / f"{name}.error"
        assert not error.exists(), error.read_text()
        result: dict[str, Any] = torch.load(trial_folder / f"{name}.pt", weights_only=True)
        return result

    return read
