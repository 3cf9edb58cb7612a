"""Whoever takes a run for its weights gets the newest whole ones, and is told which checkpoint was passed over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import pgsclip
from pgsclip.export import push as push_room
from pgsclip.models.source import find_source
from pgsclip.viz.embeddings import open_embedder

Cli = Callable[..., Any]
WEIGHTS = "open_clip_model.safetensors"
CHANGED = f"the bytes of {WEIGHTS} are not those that were written"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A place for the one run that all tests copy."""
    return {"run": tmp_path_factory.mktemp("whole") / "run"}


@pytest.fixture
def run(train: Cli, whole: dict[str, Path], tmp_path: Path) -> Path:
    """Three steps, a checkpoint after each."""
    if not whole["run"].exists():
        train("checkpoint.every_steps=1", "log.every_steps=1")
        shutil.move(tmp_path / "run", whole["run"])
    shutil.copytree(whole["run"], tmp_path / "run")
    return tmp_path / "run"


def newest(run: Path) -> Path:
    return run / "checkpoints" / "step-00000003"


def change(file: Path) -> None:
    """Two bytes of the last tensor, in the middle of its last number and of the one before."""
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    content[-7] ^= 4
    file.write_bytes(content)


def set_aside(run: Path) -> None:
    change(newest(run) / WEIGHTS)
    newest(run).rename(newest(run).with_name("step-00000003.damaged"))


def leave_half(run: Path) -> None:
    newest(run).rename(newest(run).with_name(".step-00000003.tmp"))


HARMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "changed": (lambda run: change(newest(run) / WEIGHTS), f"step-00000003 ({CHANGED})"),
    "shorter": (lambda run: (newest(run) / WEIGHTS).write_bytes(b"short"), f"{WEIGHTS} has 5 bytes"),
    "missing": (lambda run: (newest(run) / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
    "unlisted": (lambda run: (newest(run) / "files.json").unlink(), "files.json is missing"),
    "set aside": (set_aside, ""),
    "half-written": (leave_half, ""),
}
"""What happened to the newest checkpoint, and what there is to say about it."""


@pytest.fixture(params=HARMS)
def harmed(request: pytest.FixtureRequest, run: Path) -> tuple[Path, str]:
    """The run after it, and what a reader has to say."""
    harm, wrong = HARMS[request.param]
    harm(run)
    return run, wrong


def weights_of(run: Path, step: int, whole: dict[str, Path]) -> dict[str, Tensor]:
    return load_file(whole["run"] / "checkpoints" / f"step-{step:08d}" / WEIGHTS)


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name].reshape(-1), theirs[name].reshape(-1)) for name in ours)


def test_training_goes_on_from_the_one_before(harmed: tuple[Path, str], cli: Cli, whole: dict[str, Path]) -> None:
    run, wrong = harmed
    said = cli("train", "--resume", "--out", str(run))
    assert said.code == 0
    assert wrong in said.out
    assert "goes on from step 2" in said.out
    assert_same(load_file(newest(run) / WEIGHTS), weights_of(run, 3, whole))


def test_an_export_and_its_card_are_of_the_one_before(
    harmed: tuple[Path, str], cli: Cli, whole: dict[str, Path]
) -> None:
    run, wrong = harmed
    said = cli("export", str(run), "--to", "safetensors")
    assert said.code == 0
    assert wrong in said.err
    assert ("step-00000002" in said.err) == bool(wrong), "what is taken instead is named"
    out = run / "export" / "safetensors"
    assert_same(load_file(next(out.glob("*.safetensors"))), weights_of(run, 2, whole))
    assert "| steps | 2 |" in (out / "README.md").read_text()


def test_after_a_resume_an_export_takes_nothing_that_was_set_aside(run: Path, cli: Cli, whole: dict[str, Path]) -> None:
    change(newest(run) / WEIGHTS)
    cli("train", "--resume", "--out", str(run), "--steps", "2")  # has nothing to do after setting it aside
    assert newest(run).with_name("step-00000003.damaged").is_dir()
    assert cli("export", str(run), "--to", "safetensors").code == 0
    out = run / "export" / "safetensors"
    assert_same(load_file(next(out.glob("*.safetensors"))), weights_of(run, 2, whole))


def test_what_is_pushed_is_the_one_before(
    harmed: tuple[Path, str], cli: Cli, whole: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, wrong = harmed
    sent: dict[str, Tensor] = {}

    class Hub:
        def create_repo(self, *_: Any, **__: Any) -> str:
            return "there"

        def upload_folder(self, *, folder_path: str, **_: Any) -> None:
            sent.update(load_file(Path(folder_path) / WEIGHTS))

    monkeypatch.setattr(push_room.huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    said = cli("push", str(run), "jane/clip")
    assert said.code == 0
    assert wrong in said.err
    assert_same(sent, weights_of(run, 2, whole))


def test_an_evaluation_and_its_report_are_of_the_one_before(harmed: tuple[Path, str], cli: Cli) -> None:
    run, wrong = harmed
    said = cli("eval", "zeroshot", str(run), "--demo", "--json", "all.json")
    assert said.code == 0
    assert wrong in said.err
    again = cli("eval", "zeroshot", str(run / "checkpoints" / "step-00000002"), "--demo", "--json", "before.json")
    assert again.err == ""
    assert "were there already" in again.out
    (ours,), (theirs,) = (json.loads(Path(name).read_text()) for name in ("all.json", "before.json"))
    assert ours["weights"] == theirs["weights"]
    assert ours["step"] == 2
    assert ours["evaluated_at"].startswith("20")
    assert cli("report", str(run), "--no-masks").code == 0
    assert f"{100 * ours['metrics']['acc1']:.1f}" in (run / "report.md").read_text()


def test_an_evaluation_in_python_is_of_the_one_before(harmed: tuple[Path, str]) -> None:
    run, wrong = harmed
    told: list[str] = []
    ours = pgsclip.evaluate(run, "demo", families=["zeroshot"], on_message=told.append)
    assert wrong in told[0]
    theirs = pgsclip.evaluate(run / "checkpoints" / "step-00000002", "demo", families=["zeroshot"])
    assert ours.results[0].weights == theirs.results[0].weights


def test_masks_are_drawn_with_the_one_before(
    harmed: tuple[Path, str], cli: Cli, whole: dict[str, Path], tmp_path: Path
) -> None:
    run, wrong = harmed
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    said = cli("viz-mask", "a.png", "--checkpoint", str(run))
    assert said.code == 0
    assert wrong in said.err
    assert_same(dict(open_embedder(run, None).built.model.state_dict()), weights_of(run, 2, whole))


def test_a_run_that_starts_from_it_starts_from_the_one_before(
    harmed: tuple[Path, str], train: Cli, whole: dict[str, Path], tmp_path: Path
) -> None:
    run, wrong = harmed
    shutil.move(run, tmp_path / "first")
    said = train(f"model.pretrained={tmp_path / 'first'}", "optim.lr=1e-20")  # stands still
    assert said.code == 0
    assert wrong in said.out
    ours, theirs = load_file(newest(tmp_path / "run") / WEIGHTS), weights_of(run, 2, whole)
    assert all(torch.allclose(ours[name], theirs[name], rtol=0, atol=1e-12) for name in theirs)


@pytest.mark.parametrize("named", ["", WEIGHTS])
def test_one_that_is_named_is_never_taken_with_other_bytes(run: Path, named: str, train: Cli, cli: Cli) -> None:
    change(newest(run) / WEIGHTS)
    given = str(newest(run) / named)
    shutil.copytree(run, run.with_name("first"))
    for said in (
        cli("export", given, "--to", "safetensors"),
        cli("eval", "zeroshot", given, "--demo"),
        train(f"model.pretrained={given}", "--out", "second"),
    ):
        assert said.code == 2
        assert CHANGED in said.err
        assert "Traceback" not in said.err


def test_one_that_is_named_is_told_what_is_known_of_it(run: Path) -> None:
    assert find_source(str(newest(run))).finding is None
    (newest(run) / "optimizer.safetensors").unlink()
    assert find_source(str(newest(run))).finding is None, "whoever takes the weights does not want it"
    (newest(run) / "files.json").unlink()
    for named in (newest(run), newest(run) / WEIGHTS):
        finding = find_source(str(named)).finding
        assert finding is not None
        assert "files.json is missing" in finding
    aside = newest(run).rename(newest(run).with_name("step-00000003.damaged"))
    source = find_source(str(aside))
    assert source.finding is not None
    assert "set aside as damaged" in source.finding
    assert source.step == 3


def test_a_run_without_a_whole_one_names_them_all(run: Path, cli: Cli) -> None:
    for folder in (run / "checkpoints").iterdir():
        change(folder / WEIGHTS)
    newest(run).rename(newest(run).with_name("step-00000003.damaged"))
    said = cli("export", str(run), "--to", "safetensors")
    assert said.code == 2
    for words in (f"step-00000002 ({CHANGED})", f"step-00000001 ({CHANGED})", "step-00000003.damaged", "Put back"):
        assert words in said.err
    assert not (run / "export").exists()


def test_a_report_shows_the_newest_checkpoint_and_tells_of_the_others(run: Path, cli: Cli) -> None:
    for step in (3, 1):  # the older one is evaluated last
        assert cli("eval", "zeroshot", str(run / "checkpoints" / f"step-{step:08d}"), "--demo").code == 0
    said = cli("report", str(run), "--no-masks")
    assert said.code == 0
    assert "1 result of other checkpoints (step 1)" in said.err
    assert "of other checkpoints (step 1)" in (run / "report.html").read_text()
