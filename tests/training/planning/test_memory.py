from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from pgsclip.training.planning import memory as room
from pgsclip.training.planning.memory import (
    DoesNotFitError,
    enough_memory,
    is_out_of_memory,
    may_take_bytes,
    memory_gib,
    resting_bytes,
    taken_bytes,
)

CPU = torch.device("cpu")
MIB = 2**20


def kernel(root: Path, **files: str) -> Path:
    """A folder with files of a kernel; `__` in a name is a folder."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_the_peak_is_this_program_s_own_in_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/proc/self/status", encoding="utf-8") as status:  # noqa: PTH123
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert memory_gib(CPU) == pytest.approx(peak / 2**20, rel=0.05)
    monkeypatch.setattr(room, "_lines", lambda path: [])  # where there is no /proc
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert memory_gib(CPU) == pytest.approx(usage / 2**20, rel=0.05)
    monkeypatch.setattr(room.sys, "platform", "darwin")  # there it is counted in bytes
    assert memory_gib(CPU) < 0.01


def test_what_lies_there_and_what_was_taken() -> None:
    before = taken_bytes(CPU)
    held = torch.ones(before // 4 + 64 * MIB)
    assert taken_bytes(CPU) >= before + 4 * 64 * MIB
    resting = resting_bytes(CPU)
    assert taken_bytes(CPU) + MIB >= resting > 4 * len(held), "the kernel counts pages in lots, a little late"
    del held
    assert resting_bytes(CPU) < taken_bytes(CPU) - before // 2, "a peak stays, what lies there does not"


def test_a_loader_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_lines", lambda path: ["VmHWM:\t    2048 kB"])
    loader = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setattr(room, "active_children", lambda: [loader, gone])
    try:
        pss = [0]
        while pss[-1] < 2**20:  # until Python has come up
            rollup = Path(f"/proc/{loader.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
            pss += [1024 * int(line.split()[1]) for line in rollup if line.startswith("Pss:")]
        assert taken_bytes(CPU) - 2048 * 1024 == pytest.approx(pss[-1], rel=0.5)
    finally:
        loader.communicate(b"\n")


def test_where_nobody_tells_who_shares_pages_those_of_its_own_count(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:  # macOS
        def __init__(self, pid: int) -> None:
            pass

        def memory_full_info(self) -> Any:
            return SimpleNamespace(rss=900, uss=512)

    monkeypatch.setattr(room, "_peak_resident", lambda: 1000)
    monkeypatch.setattr(room.psutil, "Process", Elsewhere)
    monkeypatch.setattr(room, "active_children", lambda: [SimpleNamespace(pid=7)])
    assert taken_bytes(CPU) == 1512


def test_the_narrowest_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert may_take_bytes(CPU, tmp_path / "nothing") == pytest.approx(0.92 * psutil.virtual_memory().available, rel=0.2)
    monkeypatch.setattr(room.psutil, "virtual_memory", lambda: SimpleNamespace(total=2**31, available=2**30))
    assert may_take_bytes(CPU, tmp_path / "nothing") == int(0.92 * 2**30)
    second = kernel(
        tmp_path / "second",
        proc__self__cgroup="0::/job/step\n",
        **{
            "sys__fs__cgroup__job__memory.max": f"{300 * MIB}\n",
            "sys__fs__cgroup__job__memory.current": f"{200 * MIB}\n",
            "sys__fs__cgroup__job__memory.stat": f"anon 5\nfile {50 * MIB}\nfile_mapped 7\n",
            "sys__fs__cgroup__job__step__memory.max": "max\n",
            "sys__fs__cgroup__job__step__memory.current": f"{100 * MIB}\n",
        },
    )
    assert may_take_bytes(CPU, second) == int(0.92 * 150 * MIB)
    first = kernel(
        tmp_path / "first",
        proc__self__cgroup="9:name=systemd:/\n4:memory:/job\n0::/\n",
        **{
            "sys__fs__cgroup__memory__job__memory.limit_in_bytes": f"{80 * MIB}\n",
            "sys__fs__cgroup__memory__job__memory.usage_in_bytes": f"{60 * MIB}\n",
        },
    )
    assert may_take_bytes(CPU, first) == int(0.92 * 20 * MIB)


def test_running_out_of_memory_is_a_sentence() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**50)
    assert is_out_of_memory(failed.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    for error, words in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), r"\(CUDA out of memory\)"),
        (MemoryError(), r"\(MemoryError\)"),
        (failed.value, r"\(\[enforce fail at .*\)"),
    ):
        with pytest.raises(DoesNotFitError, match=r"^A step of 24 pairs does not fit into the memory " + words) as said:
            raise_within(error)
        for advice in ("--batch-size auto", "optim.accumulation_steps=2", "model.checkpoint_activations=true"):
            assert advice in str(said.value)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes do not fit$"):
        raise_within(RuntimeError("shapes do not fit"))


def raise_within(error: Exception) -> None:
    with enough_memory(24):
        raise error
