"""Whole runs of a tiny model. The golden curve is written anew by
`PGSCLIP_WRITE_GOLDEN=1 pytest tests/training/test_run.py`, after a look at why it moved."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import tarfile
from pathlib import Path
from typing import Any, ClassVar

import open_clip
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from pgsclip.config.params import PluginParams
from pgsclip.config.schema import RunConfig
from pgsclip.data.generated import scene
from pgsclip.errors import ConfigError, DataError, ModelError, PluginError, RunError, TrainingError, UnfinishedError
from pgsclip.loggers.contract import Row, RunInfo
from pgsclip.losses.contrastive import ClipLoss
from pgsclip.results.run_status import read_status
from pgsclip.training import assemble as room
from pgsclip.training.planning import autotune as settling
from pgsclip.training.planning.trial_steps import Probed
from pgsclip.training.request import Resume, configure
from pgsclip.training.run import Outcome, train
from pgsclip.training.step import Stepper
from pgsclip.training.stop import StopRequest

GOLDEN = Path(__file__).parents[1] / "golden" / "loss_curve.json"
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module", autouse=True)
def model(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("models")
    (folder / "pgsclip-test.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)


def go(out: Path, *settings: str, resume: bool = False) -> Outcome:
    defaults = [
        "model.name=pgsclip-test", "data.spec=generated", "data.samples=64", "data.workers=0", "data.batch_size=8",
        "masker.name=random", "evaluate.data=null", "optim.steps=6", "optim.warmup_steps=0", "log.every_steps=1",
        "engine.device=cpu",
    ]  # fmt: skip
    options = {"out": str(out)}
    given = settings if resume else [*defaults, *settings]
    request = configure("smoke", options, given, resume=Resume.ALWAYS if resume else Resume.NEVER)
    return train(request, Console(file=io.StringIO()))


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in rows(run) if "loss" in row]


def shard(path: Path, pairs: int, bad: int = 0) -> Path:
    """A tar whose first `bad` pictures are no pictures."""
    with tarfile.open(path, "w") as tar:
        for number in range(pairs):
            picture = io.BytesIO()
            Image.fromarray(scene("training", number, 32).image).save(picture, "PNG")
            image = b"no picture" if number < bad else picture.getvalue()
            for extension, content in (("png", image), ("txt", f"thing {number}".encode())):
                member = tarfile.TarInfo(f"{path.stem}-{number:04d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def test_twenty_steps_give_the_curve_that_they_always_gave(tmp_path: Path) -> None:
    go(tmp_path / "run", "optim.steps=20", "data.batch_size=16", "optim.lr=0.005", "masker.ratio=0.5")
    found = losses(tmp_path / "run")
    if os.environ.get("PGSCLIP_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps([round(loss, 6) for loss in found], indent=2) + "\n")
    expected = json.loads(GOLDEN.read_text())
    assert len(expected) == 20
    assert found == pytest.approx(expected, rel=1e-3)
    assert sum(found[-4:]) < sum(found[:4])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_ends_where_an_unbroken_one_ends(tmp_path: Path, workers: int) -> None:
    settings = (f"data.workers={workers}", "checkpoint.every_steps=3", "masker.name=pgs", "masker.ratio='0.3:0.5'")
    whole = go(tmp_path / "whole", *settings)
    go(tmp_path / "broken", *settings)
    broken = tmp_path / "broken"
    last = broken / "checkpoints" / "step-00000006"
    for file in last.iterdir():  # as if the run had been killed after its first checkpoint
        file.unlink()
    last.rmdir()
    resumed = go(broken, resume=True)
    assert losses(broken) == losses(tmp_path / "whole")
    assert [row["step"] for row in rows(broken)] == [1, 2, 3, 4, 5, 6]
    ours, theirs = (load_file(o.checkpoint / "open_clip_model.safetensors") for o in (resumed, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_finished_run_goes_on_when_it_is_made_longer(tmp_path: Path) -> None:
    go(tmp_path / "run")
    assert go(tmp_path / "run", "optim.steps=8", resume=True).steps == 8
    assert [row["step"] for row in rows(tmp_path / "run")] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_run_cannot_be_made_shorter_than_it_is(tmp_path: Path) -> None:
    go(tmp_path / "run")
    with pytest.raises(RunError, match=r"has done 6 steps and now is to have 3; give more --steps or --epochs"):
        go(tmp_path / "run", "optim.steps=3", resume=True)


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no run to resume in"):
        go(tmp_path / "run", resume=True)
    outcome = go(tmp_path / "run")
    for file in outcome.checkpoint.iterdir():
        file.unlink()
    outcome.checkpoint.rmdir()
    with pytest.raises(RunError, match=r"has no complete checkpoint to resume from; start again in another --out"):
        go(tmp_path / "run", resume=True)


def test_old_checkpoints_go(tmp_path: Path) -> None:
    go(tmp_path / "run", "checkpoint.every_steps=1", "checkpoint.keep=2")
    assert sorted(p.name for p in (tmp_path / "run/checkpoints").iterdir()) == ["step-00000005", "step-00000006"]


class NanAtFifth(ClipLoss):
    """CLIP's loss until it is called for the fifth time."""

    calls = 0

    def __call__(self, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        self.calls += 1
        loss = super().__call__(images, texts, scale, bias)
        return loss * float("nan") if self.calls == 5 else loss


def test_a_nan_names_its_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.plugins, "load", _with(NanAtFifth, room.plugins.load))
    with pytest.raises(TrainingError, match=r"not a finite number at step 5; .*The last good checkpoint is .*00000004"):
        go(tmp_path / "run", "loss.name=nan", "checkpoint.every_steps=2", "optim.steps=20")
    kept = load_file(tmp_path / "run/checkpoints/step-00000004/open_clip_model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())
    assert [row["step"] for row in rows(tmp_path / "run")] == [1, 2, 3, 4]


def _with(loss: type, load: object) -> object:
    return lambda group, name: loss if name == "nan" else load(group, name)  # type: ignore[operator]


def test_pairs_beside_the_training_shards_are_evaluated_and_rows_name_them(tmp_path: Path) -> None:
    for name in ("train-0", "train-1"):
        shard(tmp_path / f"{name}.tar", 16)
    shard(tmp_path / "val-0.tar", 12)
    spec = str(tmp_path / "train-{0..1}.tar")
    outcome = go(tmp_path / "run", f"data.spec={spec}", "data.samples=null", "evaluate.data=auto")
    last = rows(tmp_path / "run")[-1]
    assert last.pop("step") == 6
    recalls = [f"eval/val-0/{way}_retrieval_recall@{k}" for way in ("image", "text") for k in (1, 5, 10)]
    assert sorted(last) == sorted(recalls)
    assert outcome.findings[0].startswith("recall@5 among 12 held-out pairs of val-0: image to text")


def test_held_out_data_that_is_missing_is_said_before_the_run_starts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No file matches 'val\.tar'"):
        go(tmp_path / "run", "evaluate.data=val.tar")
    assert not (tmp_path / "run").exists()


def test_a_few_damaged_pictures_are_counted_and_many_stop_the_run_with_the_worst_tar(tmp_path: Path) -> None:
    good, some = shard(tmp_path / "good.tar", 100), shard(tmp_path / "some.tar", 100, bad=2)
    settings = ("data.batch_size=32", "optim.steps=8", "data.samples=200")
    go(tmp_path / "below", f"data.spec={good}::{some}", *settings)
    faults = json.loads((tmp_path / "below/faults.json").read_text())
    assert faults["by_cause"].keys() == {"corrupt image"}
    assert faults["by_shard"].keys() == {str(some)}
    worst = shard(tmp_path / "worst.tar", 100, bad=60)
    with pytest.raises(
        DataError, match=r"corrupt image\); most of them, \d+, are in .*worst\.tar\. Repair or leave out"
    ):
        go(tmp_path / "above", f"data.spec={good}::{some}::{worst}", *settings)


def test_data_that_holds_no_pair(tmp_path: Path) -> None:
    bad = shard(tmp_path / "bad.tar", 4, bad=4)
    with pytest.raises(DataError, match=r"gave no usable pair: corrupt image, for example .*bad\.tar"):
        go(tmp_path / "run", f"data.spec={bad}", "data.samples=null")
    with pytest.raises(DataError, match=r"(1 shard|one shard).*Set data.workers=1 or fewer"):
        go(tmp_path / "run2", f"data.spec={bad}", "data.workers=3")


def test_the_same_images_are_drawn_at_every_checkpoint(tmp_path: Path) -> None:
    Image.fromarray(scene("held-out", 3).image).save(tmp_path / "a.png")
    settings = [
        "masker.name=cluster",
        "checkpoint.every_steps=2",
        f"log.mask_images=[{tmp_path}/a.png]",
        "optim.lr=0.1",
    ]
    go(tmp_path / "run", *settings)
    drawn = sorted((tmp_path / "run" / "masks").iterdir())
    assert [file.name for file in drawn] == [f"step-{step:08d}.png" for step in (2, 4, 6)]
    assert drawn[0].read_bytes() != drawn[2].read_bytes()


def test_masked_captions_train_and_words_are_counted_once(tmp_path: Path) -> None:
    data = shard(tmp_path / "train-0.tar", 16)
    settings = [f"data.spec={data}", "text.masker=frequency", "text.max_tokens=3", "optim.steps=3"]
    go(tmp_path / "masked", *settings)
    [counted] = tmp_path.glob(".pgsclip-word-counts-*.json")
    before = counted.stat().st_mtime_ns
    go(tmp_path / "again", *settings)
    assert losses(tmp_path / "again") == losses(tmp_path / "masked")
    assert counted.stat().st_mtime_ns == before
    go(tmp_path / "cut", f"data.spec={data}", "text.masker=truncate", "text.max_tokens=3", "optim.steps=3")
    assert losses(tmp_path / "cut") != losses(tmp_path / "masked")


def test_a_text_masker_and_its_tokens_belong_together(tmp_path: Path) -> None:
    for setting in ("text.masker=truncate", "text.max_tokens=8"):
        with pytest.raises(ConfigError, match=r"text\.masker and text\.max_tokens must be set together"):
            go(tmp_path / "run", setting)


def test_a_tail_without_mask_follows_and_a_run_resumes_across_the_border(tmp_path: Path) -> None:
    """The second phase sees every patch at another size, so position embeddings and their moments change shape."""
    tail = "phases=[{steps: 3, lr: 1e-3, warmup_steps: 1, image_size: 48}]"
    settings = ("masker.ratio=0.5", tail, "checkpoint.every_steps=2", "checkpoint.keep=20")
    whole = go(tmp_path / "whole", *settings)
    assert whole.steps == 9
    assert [row["patches_kept"] for row in rows(tmp_path / "whole")] == [0.5] * 6 + [1.0] * 3
    assert rows(tmp_path / "whole")[6]["lr"] == pytest.approx(1e-3)
    assert load_file(whole.checkpoint / "open_clip_model.safetensors")["visual.positional_embedding"].shape == (37, 32)
    for step in (4, 6, 8):  # within the first phase, at the border, within the second
        broken = tmp_path / f"broken-{step}"
        shutil.copytree(tmp_path / "whole", broken)
        for later in (broken / "checkpoints").glob("step-*"):
            if int(later.name[5:]) > step:
                shutil.rmtree(later)
        resumed = go(broken, resume=True)
        assert losses(broken) == losses(tmp_path / "whole")
        ours, theirs = (load_file(o.checkpoint / "open_clip_model.safetensors") for o in (resumed, whole))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_accumulation_changes_nothing_but_the_memory(tmp_path: Path) -> None:
    whole = go(tmp_path / "whole", "masker.name=none", "optim.clip_grad_norm=1")
    parts = go(tmp_path / "parts", "masker.name=none", "optim.clip_grad_norm=1", "optim.accumulation_steps=4")
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    ours, theirs = (load_file(o.checkpoint / "open_clip_model.safetensors") for o in (parts, whole))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=2e-4, rtol=1e-3)  # Adam divides rounding by rounding


def test_other_workers_go_on_nearby_and_the_log_says_so(tmp_path: Path) -> None:
    for name in ("train-0", "train-1"):
        shard(tmp_path / f"{name}.tar", 16)
    spec = str(tmp_path / "train-{0..1}.tar")
    go(tmp_path / "run", f"data.spec={spec}", "data.workers=2", "data.samples=null")
    said = io.StringIO()
    request = configure(
        None, {"out": str(tmp_path / "run"), "optim.steps": 8}, ["data.workers=1"], resume=Resume.ALWAYS
    )
    assert train(request, Console(file=said)).steps == 8
    sentence = next(line for line in said.getvalue().splitlines() if "1 x 2" in line)
    for words in ("written by 1 x 2 loader workers", "now there are 1 x 1", "optimiser go on exactly", "up to a shard"):
        assert words in sentence


def untimed(run: Path) -> list[dict[str, float]]:
    clocks = {"samples_per_s", "mfu", "data_wait_share", "memory_gib"}
    return [{key: value for key, value in row.items() if key not in clocks} for row in rows(run)]


def cut_back(run: Path, step: int) -> None:
    """As if the run had been killed right after its checkpoint at a step, before an evaluation was written down."""
    for later in (run / "checkpoints").glob("step-*"):
        if int(later.name[5:]) > step:
            shutil.rmtree(later)
    lines = [
        line
        for line, row in zip((run / "metrics.jsonl").read_text().splitlines(), rows(run), strict=True)
        if row["step"] < step or (row["step"] == step and "loss" in row)
    ]
    (run / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before_and_no_more(tmp_path: Path) -> None:
    settings = ("checkpoint.every_steps=2", "masker.name=pgs", "masker.ratio='0.3:0.5'", "log.every_steps=3")
    go(tmp_path / "whole", *settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    for name in ("step-00000006", "step-00000004"):
        harmed = tmp_path / "broken/checkpoints" / name / "optimizer.safetensors"
        content = harmed.read_bytes()
        harmed.write_bytes(content[:-9] + bytes([content[-9] ^ 64]) + content[-8:])
    said = io.StringIO()
    request = configure(None, {"out": str(tmp_path / "broken")}, [], resume=Resume.AUTO)
    outcome = train(request, Console(file=said, width=10_000))
    assert (
        "step-00000006 (the bytes of optimizer.safetensors are not those that were written); step-00000004 (the bytes "
        "of optimizer.safetensors are not those that were written). The run goes on from step-00000002, which is "
        "whole, and does 4 steps again." in said.getvalue()
    )
    assert untimed(tmp_path / "broken") == untimed(tmp_path / "whole")
    ours, theirs = (load_file(run / "checkpoints/step-00000006" / "optimizer.safetensors")
                    for run in (tmp_path / "broken", tmp_path / "whole"))  # fmt: skip
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert outcome.checkpoint.name == "step-00000006"


def test_auto_does_not_start_over_where_every_checkpoint_is_damaged(tmp_path: Path) -> None:
    outcome = go(tmp_path / "run")
    (outcome.checkpoint / "open_clip_model.safetensors").write_bytes(b"")
    request = configure(None, {"out": str(tmp_path / "run")}, [], resume=Resume.AUTO)
    with pytest.raises(RunError, match=r"is whole: step-00000006 \(open_clip_model.safetensors has 0 bytes instead of"):
        train(request, Console(file=io.StringIO()))
    assert len(rows(tmp_path / "run")) == 6
    assert read_status(tmp_path / "run").state == "failed"


@pytest.mark.parametrize("step", [2, 4, 6])
def test_evaluations_are_neither_lost_nor_written_twice(tmp_path: Path, step: int) -> None:
    """Killed between a checkpoint and its evaluation: within a phase, at the border of phases, at the end."""
    shard(tmp_path / "train-0.tar", 16)
    shard(tmp_path / "val-0.tar", 6)
    settings = (f"data.spec={tmp_path}/train-0.tar", "data.samples=null", "evaluate.data=auto", "optim.steps=4",
                "evaluate.every_steps=2", "phases=[{steps: 2, lr: 1e-3}]")  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    go(whole, *settings)
    assert [row["step"] for row in rows(whole) if "loss" not in row] == [2, 4, 6]
    shutil.copytree(whole, broken)
    cut_back(broken, step)
    for _ in range(2):  # and once more when it is finished
        go(broken, resume=True)
        assert untimed(broken) == untimed(whole)


def test_a_setting_that_changes_the_model_is_named_when_the_run_is_to_go_on(tmp_path: Path) -> None:
    go(tmp_path / "run")
    with pytest.raises(
        ModelError, match=r"1 missing \(such as logit_bias\). This run goes on with other settings than i"
    ):
        go(tmp_path / "run", "loss.name=siglip", "optim.steps=8", resume=True)
    with pytest.raises(
        ModelError, match=r"loss.name \(clip, now siglip\)\. Take back those that change the model, or s"
    ):
        go(tmp_path / "run", "loss.name=siglip", resume=True)
    assert go(tmp_path / "run", "optim.steps=8", resume=True).steps == 8


def test_what_was_changed_is_said_when_the_run_goes_on(tmp_path: Path) -> None:
    go(tmp_path / "run", "masker.ratio=0.5")
    said = io.StringIO()
    request = configure(None, {"out": str(tmp_path / "run"), "optim.steps": 7}, ["seed=5"], resume=Resume.ALWAYS)
    train(request, Console(file=said, width=10_000))
    assert "Changed since the last start of this run, and used from here on: " in said.getvalue()
    assert "seed (0, now 5)" in said.getvalue()
    assert "optim.steps (6, now 7)" in said.getvalue()


def test_a_disk_that_is_full_costs_the_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    settings = ("checkpoint.every_steps=2", "optim.steps=4")
    go(tmp_path / "whole", *settings)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))  # rows fit, weights do not
    try:
        with pytest.raises(RunError, match=r"cannot be written .*File too large.* There is none before it; make room"):
            go(tmp_path / "run", *settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_status(tmp_path / "run").state == "failed"
    request = configure(None, {"out": str(tmp_path / "run")}, [], resume=Resume.AUTO)
    train(request, Console(file=io.StringIO()))
    assert untimed(tmp_path / "run") == untimed(tmp_path / "whole")
    assert read_status(tmp_path / "run").state == "finished"


class Rows:
    Params = PluginParams
    kept: ClassVar[list[Any]] = []

    def __init__(self, params: PluginParams, run: RunInfo) -> None:
        self.kept.append((run.path.name, run.step, run.config["seed"]))

    def log(self, row: Row) -> None:
        self.kept.append((row["step"], "eval" if any(name.startswith("eval/") for name in row) else row["loss"]))

    def close(self) -> None:
        self.kept.append("closed")


def test_loggers_get_the_rows_of_metrics_jsonl_and_know_where_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = room.plugins.load
    monkeypatch.setattr(room.plugins, "load", lambda group, name: Rows if name == "rows" else load(group, name))
    go(tmp_path / "run", "log.loggers=[rows]", "optim.steps=2")
    go(tmp_path / "run", "optim.steps=3", resume=True)
    first, second, third = losses(tmp_path / "run")
    assert Rows.kept == [("run", 0, 0), (1, first), (2, second), "closed", ("run", 2, 0), (3, third), "closed"]
    with pytest.raises(PluginError, match=r"Unknown logger 'roows'"):
        go(tmp_path / "other", "log.loggers=[roows]")
    assert not (tmp_path / "other").exists()


def probed(pairs: int) -> Probed:
    return Probed(
        steps=3, warm=2, pairs=pairs, seconds=0.5, waited=0.0, late=0.0, reader_seconds=0.1, workers=1, kept=0.5,
        gflops=1.25, memory_gib=2.5, taken=100 + 10 * pairs, resting=100,
    )  # fmt: skip


def test_what_is_auto_is_settled_once_and_a_number_everywhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(config: RunConfig, phase: int, *, only_memory: bool = False, **more: Any) -> Probed:
        return probed(config.data.pairs_per_step)

    monkeypatch.setattr(settling, "probe_apart", probe)
    monkeypatch.setattr(settling, "may_take_bytes", lambda device: 100 + 10 * 24)
    out, said = tmp_path / "run", io.StringIO()
    auto = ("data.batch_size=auto", "data.workers=auto", "optim.steps=2")
    given = ["model.name=pgsclip-test", "data.samples=64", "evaluate.data=null", "engine.device=cpu", *auto]
    train(configure("smoke", {"out": str(out)}, given), Console(file=said, width=1000))
    assert "data.batch_size=auto is 24, the largest batch that fits" in said.getvalue()
    assert "data.workers=auto is 1: one loader process" in said.getvalue()
    stored = yaml.safe_load((out / "config.yaml").read_text())["data"]
    assert (stored["batch_size"], stored["workers"]) == (24, 1)
    assert rows(out)[-1]["samples"] == 48
    monkeypatch.setattr(settling, "probe_apart", lambda *given, **more: pytest.fail("measured again"))
    again = configure(None, {"out": str(out)}, [*auto[:2], "optim.steps=3"], resume=Resume.ALWAYS)
    train(again, Console(file=io.StringIO()))
    assert rows(out)[-1]["samples"] == 72
    taken = configure("smoke", {"out": str(out)}, given)
    with pytest.raises(RunError, match="already exists and is not overwritten"):  # before anything is measured
        train(taken, Console(file=io.StringIO()))


def test_a_step_that_does_not_fit_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(Stepper, "step", full)
    with pytest.raises(TrainingError, match=r"^A step of 8 pairs does not fit into the memory .*--batch-size auto"):
        go(tmp_path / "run")
    state = read_status(tmp_path / "run")
    assert state is not None
    assert state.state == "failed"


def test_a_stop_while_auto_is_measured_begins_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(config: RunConfig, phase: int, *, alive: Any, **more: Any) -> Probed:
        alive()
        raise AssertionError("it goes on")

    monkeypatch.setattr(settling, "probe_apart", probe)
    request = configure("smoke", {"data.batch_size": "auto", "out": str(tmp_path / "run")}, [])
    with pytest.raises(UnfinishedError, match=r"^Stopped by --stop-after while it was measured what auto is; no run"):
        train(request, Console(quiet=True), StopRequest(after_seconds=0.0))
    assert list(tmp_path.iterdir()) == []
