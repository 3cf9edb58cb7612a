from __future__ import annotations

import re
import shutil
import subprocess
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
    assert re.search(r"pgsclip train --resume auto \"\$@\"", script.read_text())
    assert name in (CLUSTER / "README.md").read_text()


def test_slurm_leaves_time_to_save_and_takes_the_code_of_an_unfinished_run() -> None:
    script = (CLUSTER / "slurm.sbatch").read_text()
    assert "--signal=TERM@300" in script
    assert '[ "$code" -eq 75 ]' in script
    assert "scontrol requeue" in script


def test_torchrun_starts_two_processes(tmp_path: Path) -> None:
    fake = tmp_path / "torchrun"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "GPUS": "2", "NODES": "3", "NODE": "1", "MASTER": "gpu-1"}
    done = subprocess.run(
        [bash, str(CLUSTER / "torchrun.sh"), "--out", "x"], env=environment, capture_output=True, text=True, check=True
    )
    assert "--nnodes 3 --node-rank 1 --nproc-per-node 2" in done.stdout
    assert "--rdzv-endpoint gpu-1:29500" in done.stdout
    assert done.stdout.strip().endswith("-m -- pgsclip train --resume auto --out x")
