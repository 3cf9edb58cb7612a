"""Kill a run at random moments, let it go on each time, and hold what comes out against an unbroken run.

    python tests/training/survival.py OUT --kills 30 --longest 25 -- --recipe clipart --data 'clipart/train-{0..6}.tar'

Everything after `--` goes to `pgsclip train`. Rows of metrics (without those that tell the time), weights and Adam's
memory must be equal to the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

CLOCKS = {"samples_per_s", "mfu", "data_wait_share", "memory_gib"}
UNFINISHED = 75


def survive(out: Path, words: list[str], *, kills: int, longest: float, seed: int = 0, term: bool = False) -> str:
    """Run both; what was done as a sentence.

    Args:
        longest: a life is ended after a random share of this many seconds.
        term: by SIGTERM, after which the run must have saved itself, instead of SIGKILL.

    Raises:
        AssertionError: something differs, or a start after a kill did not go on.
    """
    out.mkdir(parents=True)
    began = time.monotonic()
    whole, broken = out / "whole", out / "broken"
    assert _start(whole, words, out / "whole.log").wait() == 0, (out / "whole.log").read_text()
    chance, moments, lost = random.Random(seed), [], []
    while len(moments) < kills:
        process = _start(broken, [*words, "--resume", "auto"], out / "broken.log")
        moment = chance.uniform(0, longest)
        try:
            code = process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            done = _last_row(broken)
            process.send_signal(signal.SIGTERM if term else signal.SIGKILL)
            code = process.wait()
            moments.append(moment)
            assert not term or code in (UNFINISHED, 0, -signal.SIGTERM), (out / "broken.log").read_text()
            if term and code == UNFINISHED:
                assert _last_checkpoint(broken) >= done
            lost.append(max(0, done - _last_checkpoint(broken)))
            continue
        assert code == 0, (out / "broken.log").read_text()
        break
    assert _start(broken, [*words, "--resume", "auto"], out / "broken.log").wait() == 0, (
        out / "broken.log"
    ).read_text()
    _compare(whole, broken)
    return (
        f"{len(moments)} kills after {min(moments, default=0):.1f} to {max(moments, default=0):.1f} s, at most "
        f"{max(lost, default=0)} steps done twice, {len(_rows(whole))} rows, weights and moments equal; "
        f"{time.monotonic() - began:.0f} s in all"
    )


def _start(run: Path, words: list[str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pgsclip", "train", "--out", str(run), *words]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})


def _rows(run: Path) -> list[dict[str, float]]:
    path = run / "metrics.jsonl"
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append({key: value for key, value in json.loads(line).items() if key not in CLOCKS})
        except json.JSONDecodeError:  # cut short by the kill
            continue
    return found


def _last_row(run: Path) -> int:
    return max((int(row["step"]) for row in _rows(run)), default=0)


def _last_checkpoint(run: Path) -> int:
    names = [path.name for path in (run / "checkpoints").glob("step-*")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def _compare(whole: Path, broken: Path) -> None:
    assert _rows(broken) == _rows(whole)
    last = f"checkpoints/step-{_last_checkpoint(whole):08d}"
    for name in ("open_clip_model.safetensors", "optimizer.safetensors"):
        ours, theirs = load_file(broken / last / name), load_file(whole / last / name)
        assert ours.keys() == theirs.keys()
        assert all(ours[key].equal(theirs[key]) for key in theirs), name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--term", action="store_true", help="SIGTERM instead of SIGKILL")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given, words = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    print(survive(given.out, words, kills=given.kills, longest=given.longest, seed=given.seed, term=given.term))
