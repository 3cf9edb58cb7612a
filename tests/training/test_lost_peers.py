"""One process of several dies: the others end with a sentence, soon, and what was saved is whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgsclip.distributed import World
from pgsclip.training.saved.checkpoint import CheckpointFolder, read_checkpoint

WORDS = ["--recipe", "smoke", "--masker", "random", "--steps", "100000", "--batch-size", "8", "--out", "run"]
SETTINGS = ["log.every_steps=1", "checkpoint.every_steps=2", "data.workers=0", "evaluate.data=null", "data.samples=64"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("size", "engine"), [(2, "torch"), (4, "torch"), (2, "deepspeed")])
def test_the_others_stop_with_a_sentence(tmp_path: Path, size: int, engine: str) -> None:
    ranks = start(tmp_path, size, engine)
    try:
        checkpoints = tmp_path / "run" / "checkpoints"
        deadline = time.monotonic() + 600
        while not list(checkpoints.glob("step-*")):
            assert time.monotonic() < deadline
            assert all(rank.poll() is None for rank in ranks), [rank.communicate()[1] for rank in ranks if rank.poll()]
            time.sleep(0.1)
        ranks[-1].send_signal(signal.SIGKILL)
        said = [rank.communicate(timeout=120)[1] for rank in ranks[:-1]]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
            assert rank.stderr is not None
            rank.stderr.close()
    for number, (rank, words) in enumerate(zip(ranks, said, strict=False)):
        assert rank.returncode == 2, words
        assert f"pgsclip: Process {number} lost its peers: another process stopped" in words
        assert "Traceback" not in words
    last = CheckpointFolder(checkpoints, World(), keep=3).last_or_error()
    assert len(read_checkpoint(last).ranks) == size


def start(folder: Path, size: int, engine: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pgsclip", "train", "--engine", engine, *WORDS]
    command += [word for setting in SETTINGS for word in ("--set", setting)]
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    shared |= {"CUDA_VISIBLE_DEVICES": "", "TORCHDYNAMO_DISABLE": "1"}
    return [
        subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
