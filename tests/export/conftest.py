"""A run folder as `pgsclip train` leaves it, with weights that were never trained, and a result of these weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch

from pgsclip.config.resolve import resolve, to_yaml
from pgsclip.evaluation.loaded_model import weights_hash
from pgsclip.models.checksums import write_checksums
from pgsclip.models.weights import save_state_dict
from pgsclip.results.result import Result, save_result

MODEL: dict[str, Any] = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture
def architecture() -> dict[str, Any]:
    """Of that model, as open_clip has it."""
    return MODEL


@pytest.fixture(scope="session")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a tiny model that open_clip knows."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "pgsclip-export.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)
    return "pgsclip-export"


@pytest.fixture
def run(name: str, tmp_path: Path) -> Path:
    """Of 20 steps at another image size than the model's own."""
    folder = tmp_path / "my-run"
    step = folder / "checkpoints" / "step-00000020"
    step.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = open_clip.create_model(name, force_image_size=48)
    save_state_dict(model.state_dict(), step / "open_clip_model.safetensors")
    write_checksums(step)
    settings = {"model.name": name, "model.image_size": 48, "masker.name": "pgs", "masker.ratio": "0.3:0.5"}
    config = resolve(None, {**settings, "data.spec": "shards/{0..6}.tar", "optim.steps": 30})
    (folder / "config.yaml").write_text(to_yaml(config))
    environment = {"command": "pgsclip train --masker pgs", "packages": {"torch": "9.9", "numpy": "1"}}
    (folder / "environment.json").write_text(json.dumps(environment))
    for weights, value in ((weights_hash(model), 0.25), ("others", 0.75)):
        result = Result(
            model="x", architecture=name, weights=weights, dataset="cifar10", family="zeroshot", settings={},
            metrics={"acc1": value}, chance={"acc1": 0.1}, samples=4, seconds=1.0,
        )  # fmt: skip
        save_result(result, folder / "eval")
    return folder
