from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open

from pgsclip.config.resolve import check, to_yaml
from pgsclip.training.feed import Feed
from pgsclip.training.request import configure

Train = Callable[..., Any]

ROW = ["step", "samples", "epoch", "loss", "acc1", "logit_scale", "image_similarity", "lr"]
ROW += ["samples_per_s", "mfu", "data_wait_share", "patches_kept", "memory_gib"]
SMOKE = ["--steps", "3", "--batch-size", "8"]
SMOKE += ["--set", "data.samples=64", "--set", "data.workers=0", "--set", "evaluate.data=null"]


def rows(run: str = "run") -> list[dict[str, float]]:
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("masker", "ratio", "kept"),
    [
        ("none", "0", (1.0, 1.0)),
        ("random", "0.5", (0.5, 0.5)),
        ("centered", "0.5", (0.5, 0.5)),
        ("cluster", "0.5", (0.5, 0.5)),
        ("pgs", "0.5", (0.5, 0.5)),
        ("pgs", "0.3:0.5", (0.5, 0.7 + 1 / 64)),
    ],
)
def test_every_masker_trains_the_smoke_model(
    cli: Callable[..., Any], masker: str, ratio: str, kept: tuple[float, float]
) -> None:
    said = cli("train", "--masker", masker, "--ratio", ratio, *SMOKE, "--out", "run")
    assert said.code == 0, said.err
    (row,) = rows()
    assert sorted(row) == sorted(ROW)
    assert (row["step"], row["samples"], row["epoch"]) == (3, 24, 0.375)
    assert kept[0] <= row["patches_kept"] <= kept[1]
    assert math.isfinite(row["loss"])
    assert "Trained 3 steps." in said.out
    assert "This was the smoke run" in said.out
    (other,) = re.findall(r"\n  pgsclip train --masker (\S+) --ratio 0.5 +another masker, to compare\n", said.out)
    assert other != masker


def test_a_run_folder_describes_itself_and_its_weights_are_open_clip_s(train: Train, model: str) -> None:
    said = train("--masker", "random", "--seed", "7")
    assert (said.code, said.err) == (0, "")
    assert sorted(p.name for p in Path("run").iterdir()) == [
        ".lock",
        "checkpoints",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "status.json",
    ]
    config = check(yaml.safe_load(Path("run/config.yaml").read_text()))
    assert (config.seed, config.masker.name, config.model.name, config.recipe) == (7, "random", model, "smoke")
    with safe_open("run/checkpoints/step-00000003/open_clip_model.safetensors", "pt") as weights:
        assert {"visual.conv1.weight", "token_embedding.weight", "logit_scale"} <= set(weights.keys())
    assert "run/checkpoints/step-00000003/open_clip_model.safetensors" in said.out


def test_rows_come_when_they_are_due_and_evaluation_has_rows_of_its_own(train: Train) -> None:
    said = train("--masker", "random", "--steps", "5", "log.every_steps=2", "evaluate.data=generated:held-out")
    assert said.code == 0, said.err
    assert [sorted(row) for row in rows()] == [sorted(ROW)] * 3 + [["eval/generated/acc1", "step"]]
    assert [row["step"] for row in rows()] == [2, 4, 5, 5]
    assert "zero-shot accuracy" in said.out
    assert "chance 2.1%" in said.out


def test_output_that_is_no_terminal_is_plain_lines(train: Train) -> None:
    said = train("--masker", "random")
    line = next(line for line in said.out.splitlines() if line.startswith("step "))
    assert re.fullmatch(
        r"step 3/3  loss \d+\.\d{3}  acc@1 [01]\.\d\d  logit scale 14\.\d  \d+ samples/s  MFU \d+%  kept 50%  "
        r"data wait \d+%  \d+\.\d GiB  0:00 left",
        line,
    )
    assert "\x1b" not in said.out


def test_dry_run_writes_nothing_and_its_config_and_figures_are_right(train: Train, tmp_path: Path) -> None:
    said = train("--dry-run", "--no-measure", "--ratio", "0.3:0.5", "--steps", "10")
    assert said.code == 0, said.err
    assert list(tmp_path.iterdir()) == []
    text, plan = said.out.split("\ndata     ")
    config = check(yaml.safe_load(text))
    assert to_yaml(config).strip() == text.strip()
    assert "samples  80 in 10 steps = 1.25 epochs of 64" in plan
    assert "patches  8 to 11 of 16 per image" in plan


@pytest.mark.slow
def test_a_plan_is_measured_and_leaves_nothing_behind(cli: Callable[..., Any], tmp_path: Path) -> None:
    said = cli("train", "--dry-run", *SMOKE)
    assert said.code == 0, said.err
    assert list(tmp_path.iterdir()) == []
    measured = said.out.partition("\nmeasured on ")[2].splitlines()
    assert re.fullmatch(r"\d+ steps after 2 to warm up, in processes of their own:", measured[0])
    assert [line.split()[0] for line in measured[1:]] == ["compute", "memory", "speed", "time"]
    assert measured[-1].endswith(" for 24 pairs; evaluations and checkpoints come on top")


def test_a_plan_that_cannot_be_measured_is_still_a_plan(train: Train) -> None:
    said = train("--dry-run")  # the model is registered in this process alone
    assert said.code == 0, said.err
    assert "\nmeasured nothing: Unknown model 'pgsclip-test'." in said.out


def test_a_range_that_has_no_effect_is_said(train: Train) -> None:
    said = train("--masker", "none", "--ratio", "0.5")
    assert said.code == 0
    assert "--ratio 0.5 has no effect" in said.err


MISTAKES = {
    "key": (["optim.lrr=3"], r"--set: optim\.lrr is unknown\. Did you mean 'lr'\? Allowed here: lr, betas"),
    "section": (["optm.lr=3"], r"optm is unknown\. Did you mean 'optim'\?"),
    "no section": (["batch_size=3"], r"batch_size is unknown\. Did you mean 'data\.batch_size'\?"),
    "a section as a number": (["optim=3"], r"--set: optim: Input should be a valid dictionary"),
    "a number as a section": (["optim.lr.x=3"], r"--set: optim\.lr: Input should be a valid number"),
    "empty key": (["optim..lr=3"], r"--set 'optim\.\.lr=3' is not of the form section\.key=value"),
    "masker": (["--masker", "rndom"], r"Unknown masker 'rndom'\. Did you mean 'random'\? Installed: .*centered"),
    "no masker": (["--masker", "pathlib:Path"], r"'pathlib:Path' is not a masker"),
    "parameter": (["--masker", "pgs", "masker.params.foo=1"], r"The masker 'pgs' refuses its parameters: 'foo' is unk"),
    "loss": (["loss.name=clp"], r"Unknown loss 'clp'\. Did you mean 'clip'\?"),
    "no loss": (["loss.name=pathlib:Path"], r"'pathlib:Path' is not a loss: a loss is a class with needs_bias"),
    "model": (["model.name=ViT-B-17"], r"Unknown model 'ViT-B-17'\. Did you mean 'ViT-B-16'\?"),
    "recipe": (["--recipe", "smoek"], r"There is no recipe 'smoek'\. Did you mean 'smoke'\?"),
    "empty recipe": (["--recipe", ""], r"There is no recipe ''\. Shipped recipes: "),
    "ratio 1": (["--ratio", "1"], r"--ratio: masker\.ratio: '1' is outside \[0, 1\)"),
    "ratio below 0": (["--ratio", "-0.1"], r"'-0\.1' is outside \[0, 1\)"),
    "ratio backwards": (["--ratio", "0.5:0.3"], r"runs backwards; did you mean 0\.3:0\.5\?$"),
    "range": (["--masker", "random", "--ratio", "0.3:0.5"], r"'random' does not choose a ratio per image"),
    "steps 0": (["--steps", "0"], r"--steps: optim\.steps: Input should be greater than 0 \(given: 0\)"),
    "steps below 0": (["--steps", "-3"], r"greater than 0 \(given: -3\)"),
    "epochs": (["--epochs", "inf"], r"--epochs: optim\.epochs: Input should be a finite number \(given: inf\)"),
    "batch word": (["--batch-size", "all"], r"--batch-size: data\.batch_size: 'all' is neither a whole number nor"),
    "auto that is not measured": (
        ["--dry-run", "--no-measure", "--batch-size", "auto"],
        r"data\.batch_size=auto is measured when a run starts.*Give a number",
    ),
    "no measure": (["--no-measure"], r"--no-measure works only together with --dry-run"),
    "batch": (["--batch-size", "0"], r"--batch-size: data\.batch_size: Input should be greater than 0"),
    "seed": (["--seed", str(2**70)], r"--seed: seed: Input should be less than"),
    "learning rate": (["optim.lr=.inf"], r"optim\.lr: Input should be a finite number"),
    "betas": (["optim.betas=[0.9, 1]"], r"optim\.betas\.1: Input should be less than 1 \(given: 1\)"),
    "crop": (["data.crop_scale=[0.9, 0.1]"], r"\[0\.9, 0\.1\] is not a range of shares; give the smaller"),
    "device": (
        ["engine.device=gpu"],
        r"engine\.device: Input should be 'auto', 'cpu', 'cuda' or 'mps' \(given: 'gpu'\)",
    ),
    "engine": (["--engine", "horovod"], r"--engine: engine\.name: Input should be 'auto', 'torch' or 'deepspeed'"),
    "empty data": (["--data", ""], r"--data: data\.spec: String should have at least 1 character \(given: ''\)"),
    "missing tar": (["--data", "no/{0..2}.tar"], r"No file matches 'no/0\.tar' \(from 'no/\{0\.\.2\}\.tar'\)"),
    "no file": (["--data", "nothing*.tar"], r"No file matches 'nothing\*\.tar'"),
    "data with spaces": (["--data", " generated "], r"No file matches ' generated '"),
    "resume nothing": (["--resume"], r"There is no run to resume in run \(no config\.yaml\)"),
    "out": (["--out", "/proc/no/run"], r"The run folder /proc/no/run cannot be made: .*\. Give another --out"),
    "evaluation": (["evaluate.data=val.tar"], r"No file matches 'val\.tar'"),
}


@pytest.mark.parametrize(("words", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_a_sentence_and_leaves_nothing_behind(
    train: Train, tmp_path: Path, words: list[str], sentence: str
) -> None:
    said = train(*words)
    assert said.code == 2
    assert said.err.startswith("pgsclip: ")
    assert re.search(sentence, said.err), said.err
    assert list(tmp_path.iterdir()) == []


def test_a_setting_without_a_value(cli: Callable[..., Any]) -> None:
    said = cli("train", "--set", "optim.lr")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--set 'optim.lr'" in said.err
    assert "section.key=value" in said.err


def test_no_length(cli: Callable[..., Any], model: str) -> None:
    said = cli("train", "--data", "generated", "--set", f"model.name={model}")
    assert said.code == 2
    assert "run has no length" in said.err
    assert all(way in said.err for way in ("--steps", "--epochs", "--recipe"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("optim:\n\tlr: 1\n", r"mine\.yaml is not valid YAML: .*'\\t' that cannot start any token"),
        ("optim: {lr: fast}\nfoo: 3\n", r"2 settings are not valid:\n  .*optim\.lr: .*'fast'\)\.\n  .*foo is unknown"),
        ("extends: mine.yaml\n", r"Recipes extend each other in a circle"),
        ("optim:\n", r"mine\.yaml: optim: Input should be a valid dictionary .*\(given: None\)"),
        ("1: 2\n", r"must be a mapping of sections"),
        ("just words\n", r"must be a mapping of sections"),
    ],
)
def test_a_mistake_in_a_recipe_file(cli: Callable[..., Any], tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    said = cli("train", "--recipe", "mine.yaml")
    assert said.code == 2
    assert re.search(sentence, said.err), said.err


def test_an_existing_folder_is_left_alone_and_a_unicode_name_is_none_of_our_business(train: Train) -> None:
    assert train("--masker", "random", "--out", "läuft/日本 x").code == 0
    before = Path("läuft/日本 x/metrics.jsonl").read_text()
    said = train("--masker", "random", "--out", "läuft/日本 x")
    assert said.code == 2
    assert "The run folder läuft/日本 x already exists and is not overwritten" in said.err
    assert Path("läuft/日本 x/metrics.jsonl").read_text() == before


def test_a_batch_larger_than_the_data_goes_round_it(train: Train) -> None:
    assert train("--masker", "random", "--steps", "1", "--batch-size", "100").code == 0
    assert rows()[0]["epoch"] == pytest.approx(100 / 64)


@pytest.mark.slow
def test_two_processes_train_and_one_speaks(
    process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pgsclip", "train")
    options = ("--engine", "torch", "--out", "run", "--masker", "random", *SMOKE, "--steps", "2")
    done = process(*launch, *options, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Trained 2 steps.") == done.stdout.count("\nstep 2/2") == 1
    (row,) = rows(str(tmp_path / "run"))
    assert (row["step"], row["samples"], row["patches_kept"]) == (2, 16, 0.5)
    assert len(list((tmp_path / "run/checkpoints/step-00000002").glob("rank-*.json"))) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")
def test_ctrl_c_while_training_saves_and_stops_everything_with_a_sentence(tmp_path: Path) -> None:
    words = [*SMOKE, "--set", "data.workers=1", "--steps", "100000", "--set", "log.every_steps=1"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pgsclip", "train", "--masker", "random", "--out", "run", *words],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the loader processes too
    _, err = run.communicate(timeout=60)
    assert run.returncode == 75
    assert re.fullmatch(
        r"pgsclip: Stopped by the keyboard after step \d+ of 100000; everything .* --resume.", err.strip()
    )
    assert list((tmp_path / "run" / "checkpoints").iterdir())


def test_epochs_count_also_where_the_recipe_has_steps(cli: Callable[..., Any]) -> None:
    said = cli("train", "--epochs", "0.1", "--dry-run", "--no-measure")
    assert said.code == 0, said.err
    assert "in 15 steps = 0.10 epochs of 20,000" in said.out


def test_a_full_disk_is_a_sentence(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "run/config.yaml")

    monkeypatch.setattr("pgsclip.training.saved.run_folder.write_atomically", full)
    said = train("--masker", "random")
    assert (said.code, said.err.splitlines()[0][:52]) == (2, "pgsclip: No space left on device: run/config.yaml. M")


def test_a_signal_before_the_first_step_counts(
    train: Train, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While torch is still being imported, and nothing but the command line has begun."""
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr("pgsclip.training.request.configure", _after(configure, signal.SIGTERM))
    said = train("--masker", "random")
    assert said.code == 75
    assert re.search(r"SIGTERM after step 1 of 3.* saved in run\b", said.err)
    assert Path("run/checkpoints/step-00000001").is_dir()
    assert cli("status", "run").code == 75


def test_a_second_ctrl_c_ends_the_run_at_once(
    train: Train, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(Feed, "fetch", _after(Feed.fetch, signal.SIGINT, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where pytest runs in the background
    try:
        said = train("--masker", "random")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (said.code, said.err) == (130, "pgsclip: stopped by the keyboard.\n")
    assert not list(Path("run/checkpoints").iterdir())
    said = cli("status", "run")
    assert said.code == 2
    assert "failed at" in said.out
    assert "KeyboardInterrupt" in said.out


def _after(real: Callable[..., Any], *signals: signal.Signals) -> Callable[..., Any]:
    def act(*given: Any, **more: Any) -> Any:
        for number in signals:
            os.kill(os.getpid(), number)
        return real(*given, **more)

    return act
