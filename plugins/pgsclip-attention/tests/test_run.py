"""Whole runs of a tiny model with all of A-CLIP."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgsclip.cli.app import main
from pgsclip.errors import MaskerError, PluginError
from pgsclip.models.checksums import write_checksums
from pgsclip.training.request import Resume, configure
from pgsclip.training.run import train

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
ACLIP = "[{name: simclr, params: {hidden: 16}}, {name: online-to-ema, params: {hidden: 16}}]"
LAST = Path("checkpoints/step-00000004")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps, saved at its half."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "pgsclip-test.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)
    go(folder / "whole", *SETTINGS)
    return folder / "whole"


SETTINGS = (
    "model.name=pgsclip-test", "data.spec=generated", "data.samples=64", "data.workers=0", "data.batch_size=8",
    "data.views=2", "masker.name=attention", "masker.ratio=0.5", f"loss.auxiliary={ACLIP}", "evaluate.data=null",
    "optim.steps=4", "optim.warmup_steps=0", "log.every_steps=1", "checkpoint.every_steps=2", "engine.device=cpu",
)  # fmt: skip


def go(out: Path, *settings: str, resume: bool = False) -> None:
    request = configure("smoke", {"out": str(out)}, settings, resume=Resume.ALWAYS if resume else Resume.NEVER)
    train(request, Console(file=io.StringIO()))


def broken(whole: Path, out: Path) -> Path:
    """The same run as if it had been killed after its first checkpoint."""
    shutil.copytree(whole, out)
    shutil.rmtree(out / LAST)
    return out


def test_a_resumed_run_ends_with_the_same_bytes_teacher_and_heads_included(whole: Path, tmp_path: Path) -> None:
    again = broken(whole, tmp_path / "again")
    go(again, resume=True)
    for name in ("open_clip_model.safetensors", "optimizer.safetensors", "plugins.safetensors"):
        assert (again / LAST / name).read_bytes() == (whole / LAST / name).read_bytes(), name
    rows = [json.loads(line) for line in (again / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"loss/contrastive", "loss/simclr", "loss/online-to-ema"} <= rows[-1].keys()
    total = sum(rows[-1][f"loss/{name}"] for name in ("contrastive", "simclr", "online-to-ema"))
    assert rows[-1]["loss"] == pytest.approx(total, rel=1e-5)


def test_the_teacher_is_saved_behind_the_weights(whole: Path) -> None:
    states = load_file(whole / LAST / "plugins.safetensors")
    weights = load_file(whole / LAST / "open_clip_model.safetensors")
    teacher = states["pgsclip.maskers/attention/proj"]
    assert teacher.shape == weights["visual.proj"].shape
    assert 0 < (teacher - weights["visual.proj"]).abs().max() < 0.1


def with_states(run: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Path:
    """The run with other states of its plugins in the checkpoint that it goes on from."""
    folder = run / "checkpoints/step-00000002"
    save_file(change(load_file(folder / "plugins.safetensors")), folder / "plugins.safetensors")
    (folder / "files.json").unlink()
    write_checksums(folder)
    return run


def test_without_its_teacher_a_run_would_end_otherwise(whole: Path, tmp_path: Path) -> None:
    def moved(states: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: state.flip(0) if "maskers" in name else state for name, state in states.items()}

    again = with_states(broken(whole, tmp_path / "again"), moved)
    go(again, resume=True)
    ours, theirs = (load_file(run / LAST / "open_clip_model.safetensors") for run in (again, whole))
    assert not all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_state_that_does_not_fit_names_the_distribution(whole: Path, tmp_path: Path) -> None:
    def other(states: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**states, "pgsclip.maskers/attention/proj": torch.zeros(3, 3)}

    again = with_states(broken(whole, tmp_path / "again"), other)
    with pytest.raises(
        MaskerError, match=r"state of the masker 'attention' from pgsclip-attention 0\.1\.0 in the chec"
    ):
        go(again, resume=True)
    with pytest.raises(
        PluginError, match=r"state of the loss 'simclr' from pgsclip-attention 0\.1\.0 in the checkpoint"
    ):
        go(broken(whole, tmp_path / "other"), f"loss.auxiliary={ACLIP.replace('16', '24')}", resume=True)


def test_what_the_losses_need_is_said_before_the_run_starts(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match=r"'simclr' from pgsclip-attention 0\.1\.0 compares 2 views .* data\.views is 1"
    ):
        go(tmp_path / "run", *SETTINGS, "data.views=1")
    with pytest.raises(PluginError, match=r"'online-to-ema' from pgsclip-attention .* the masker 'random' has none"):
        go(tmp_path / "run", *SETTINGS, "masker.name=random")
    assert not (tmp_path / "run").exists()


def test_masks_are_drawn_with_the_teacher_of_a_checkpoint(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(photo)

    def draw(*words: str) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["viz-mask", str(photo), "--masker", "attention", "--out", str(tmp_path / "m.png"), *words])
        return int(stopped.value.code or 0)

    assert draw("--checkpoint", str(whole)) == 0
    assert (tmp_path / "m.png").is_file()
    capsys.readouterr()
    assert draw() == 2
    assert "looks with a copy of the model that is trained, and there is none here" in capsys.readouterr().err
