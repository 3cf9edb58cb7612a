"""Whole runs that tune pretrained weights: what is loaded, what stays, what is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from pgsclip.errors import ConfigError
from pgsclip.training.request import Resume, configure
from pgsclip.training.run import train

NAME = "pgsclip-tuned"
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 2},
}
SETTINGS = (
    f"model.name={NAME}", "data.samples=16", "data.workers=0", "data.batch_size=4", "evaluate.data=null",
    "optim.steps=2", "optim.lr=0.01", "engine.device=cpu", "masker.name=random", "masker.ratio=0.5",
)  # fmt: skip


@pytest.fixture(autouse=True)
def known(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{NAME}.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(tmp_path / "models")


class Done:
    """A run that was made."""

    def __init__(self, out: Path, *settings: str, resume: Resume = Resume.NEVER) -> None:
        said = out.with_name(f"{out.name}-said")
        options = {"data.spec": "generated", "out": str(out)}
        with said.open("w") as file:
            self.path = train(configure(None, options, [*SETTINGS, *settings], resume=resume), Console(file=file)).path
        self.said = " ".join(said.read_text().split())

    def weights(self, step: int) -> dict[str, torch.Tensor]:
        return load_file(self.path / "checkpoints" / f"step-{step:08d}" / "open_clip_model.safetensors")

    def moments(self, step: int) -> set[str]:
        names = load_file(self.path / "checkpoints" / f"step-{step:08d}" / "optimizer.safetensors")
        return {name.partition("/")[2] for name in names}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in after if not torch.equal(before[name], after[name])}


@pytest.fixture
def first(tmp_path: Path) -> Done:
    return Done(tmp_path / "first")


def test_a_frozen_image_tower_stays_and_a_run_that_goes_on_knows_it(first: Done, tmp_path: Path) -> None:
    start = first.weights(2)
    settings = (f"model.pretrained={first.path}", "model.freeze=image", "checkpoint.every_steps=1", "checkpoint.keep=9")
    unbroken = Done(tmp_path / "unbroken", *settings, "optim.steps=3")
    changed = moved(start, unbroken.weights(3))
    assert changed == {name for name in start if not name.startswith("visual.")}
    assert unbroken.moments(3) == changed
    assert "Frozen: image (0.0 M parameters)." in unbroken.said
    shutil.copytree(unbroken.path, tmp_path / "broken")
    shutil.rmtree(tmp_path / "broken" / "checkpoints" / "step-00000003")
    again = Done(tmp_path / "broken", "optim.steps=3", resume=Resume.ALWAYS)
    torch.testing.assert_close(again.weights(3), unbroken.weights(3), atol=0, rtol=0)
    assert "Frozen: image" in again.said
    assert "freeze" not in again.said


def test_a_phase_may_thaw(first: Done, tmp_path: Path) -> None:
    phases = "phases=[{steps: 1, lr: 0.01, freeze: [image:1]}, {steps: 1, lr: 0.01}]"
    run = Done(tmp_path / "run", f"model.pretrained={first.path}", "model.freeze=[image]", phases, "checkpoint.keep=9")
    assert not any(name.startswith("visual.") for name in moved(first.weights(2), run.weights(2)))
    for step in (3, 4):
        now = {name for name in moved(run.weights(step - 1), run.weights(step)) if name.startswith("visual.")}
        assert "visual.proj" in now
        assert any(".resblocks.1." in name for name in now)
        assert not any(".resblocks.0." in name or "conv1" in name for name in now)


def test_rates_fall_towards_the_first_layers(first: Done, tmp_path: Path) -> None:
    """Adam's first step is as long as the rate, whatever the gradient."""
    settings = ("optim.steps=1", "optim.layer_decay=0.1", "optim.weight_decay=0", "optim.eps=1e-12")
    run = Done(tmp_path / "run", f"model.pretrained={first.path}", *settings)
    before, after = first.weights(2), run.weights(1)

    def length(name: str) -> float:
        return (after[name] - before[name]).abs().median().item() / 0.01

    assert length("visual.proj") == pytest.approx(1, rel=0.01)
    assert length("visual.transformer.resblocks.1.mlp.c_fc.weight") == pytest.approx(0.1, rel=0.01)
    assert length("visual.transformer.resblocks.0.mlp.c_fc.weight") == pytest.approx(0.01, rel=0.01)
    assert length("visual.conv1.weight") == pytest.approx(0.001, rel=0.02)
    assert length("transformer.resblocks.1.mlp.c_fc.weight") == pytest.approx(0.1, rel=0.01)


def test_what_leaves_nothing_to_train_starts_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leaves nothing to train"):
        Done(tmp_path / "run", "model.freeze=[image, text]")
    assert not (tmp_path / "run").exists()
