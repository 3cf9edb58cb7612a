from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = ["torchrun.sh", "deepspeed.sh", "slurm.sbatch"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_sound_goes_on_by_itself_and_is_explained(name: str) -> None:
    script = CLUSTER / name
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-n", str(script)], check=True)
    assert re.search(r'pgsclip train --resume auto --out "\$OUT" "\$@"', script.read_text())
    assert script.read_text().index('rm -f "$OUT/status.json"') < script.read_text().index('pgsclip status "$OUT"')
    assert name in (CLUSTER / "README.md").read_text()


def test_slurm_leaves_time_to_save_and_takes_the_code_of_an_unfinished_run() -> None:
    script = (CLUSTER / "slurm.sbatch").read_text()
    assert "--signal=TERM@300" in script
    assert script.index('pgsclip status "$OUT"') < script.index("code=$?") < script.index('[ "$code" -eq 75 ]')
    assert "scontrol requeue" in script


def shims(folder: Path, **scripts: str) -> str:
    """A PATH on which these commands stand before all others."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize("code", [0, 75, 2])
@pytest.mark.parametrize("name", ["torchrun.sh", "deepspeed.sh"])
def test_a_script_ends_as_the_run_did_whatever_its_launcher_says(tmp_path: Path, name: str, code: int) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    run = tmp_path / "run"
    run.mkdir()
    (run / "status.json").write_text("of an earlier start")
    path = shims(
        tmp_path, torchrun="echo $@; exit 1", deepspeed="echo $@; exit 1", pgsclip=f"echo asked $@; exit {code}"
    )
    environment = {"PATH": path, "GPUS": "2", "NODES": "3", "NODE": "1", "MASTER": "gpu-1", "OUT": str(run)}
    done = subprocess.run([bash, str(CLUSTER / name), "--steps", "9"], env=environment, capture_output=True, text=True)
    started, asked = done.stdout.splitlines()
    assert done.returncode == code
    assert asked == f"asked status {run}"
    assert started.endswith(f"pgsclip train --resume auto --out {run} --steps 9")
    assert list(run.iterdir()) == []
    if name == "torchrun.sh":
        assert "--nnodes 3 --node-rank 1 --nproc-per-node 2" in started
        assert "--rdzv-endpoint gpu-1:29500" in started


def test_a_folder_must_be_given() -> None:
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, str(CLUSTER / "torchrun.sh")], env={"PATH": "/usr/bin:/bin"}, capture_output=True)
    assert done.returncode != 0
    assert b"is the folder of the run: OUT=/shared/runs/mine" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(2000)  # two launches of three processes that import torch, on a busy machine
def test_two_processes_of_torchrun_stop_when_asked_and_the_script_tells(tmp_path: Path) -> None:
    """A signal to the script, then a time limit: 75 both times, nothing is started again, no step is lost."""
    bash = shutil.which("bash")
    assert bash is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = shims(
        tmp_path,
        torchrun=f'exec "{sys.executable}" -m torch.distributed.run "$@"',
        pgsclip=f'exec "{sys.executable}" -m pgsclip "$@"',
    )
    run, log = tmp_path / "run", tmp_path / "log"
    settings = ["log.every_steps=1", "data.workers=0", "evaluate.data=null", "data.samples=64", "engine.device=cpu"]
    words = ["--recipe", "smoke", "--masker", "random", "--steps", "100000", "--batch-size", "8", "--engine", "torch"]
    words += [word for setting in settings for word in ("--set", setting)]
    environment = {**os.environ, "PATH": path, "OUT": str(run), "GPUS": "2", "OMP_NUM_THREADS": "1", "PORT": str(port)}

    def start(*more: str) -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            command = [bash or "", str(CLUSTER / "torchrun.sh"), *words, *more]
            return subprocess.Popen(command, env=environment, stdout=file, stderr=file)

    with start() as script:
        deadline = time.monotonic() + 400
        while not (run / "metrics.jsonl").exists():
            assert script.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        script.send_signal(signal.SIGTERM)
        assert script.wait(timeout=800) == 75, log.read_text()
    first = last_row(run)
    assert "stopped at" in log.read_text()
    assert (run / "checkpoints" / f"step-{first:08d}").is_dir()
    with start("--stop-after", "1s") as script:
        assert script.wait(timeout=800) == 75, log.read_text()
    assert log.read_text().count(f"goes on from step {first} of 100000") == 1
    assert last_row(run) > first
    assert (run / "checkpoints" / f"step-{last_row(run):08d}").is_dir()


def last_row(run: Path) -> int:
    return int(json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"])
