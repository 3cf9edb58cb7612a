"""How much memory a training takes, and how much it may take on its device."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path

import psutil
import torch

from pgsclip.errors import TrainingError

_SPARED = 0.08
"""Of the device's memory that is left alone: fragments, libraries, evaluations, what others do meanwhile."""
_CONTROLLERS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"),
}
"""Of control groups, versions 2 and 1: where they are mounted, files of the limit and of what is used, its cache."""


def memory_gib(device: torch.device) -> float:
    """Largest memory of this process so far in GiB: on the GPU where there is one, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return _peak_resident() / 2**30


def taken_bytes(device: torch.device) -> int:
    """What a training that has made its first steps occupies: on its GPU all in all, else with its loader processes."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)  # what the allocator took at the peak it keeps
        return total - free
    return _peak_resident() + sum(_proportional(child.pid) for child in active_children() if child.pid is not None)


def resting_bytes(device: torch.device) -> int:
    """What is occupied now, without what the allocator of a GPU only keeps for later."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return taken_bytes(device) - kept
    return int(psutil.Process().memory_info().rss)


def may_take_bytes(device: torch.device, root: Path = Path("/")) -> int:
    """What a training may occupy: most of a GPU; else most of what is free now and within the control group's limit.

    Args:
        root: where control groups are looked for.
    """
    if device.type == "cuda":
        return int((1 - _SPARED) * torch.cuda.get_device_properties(device).total_memory)
    free = [psutil.virtual_memory().available, *_of_control_groups(root)]
    return int((1 - _SPARED) * min(free))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or on a CPU, where torch has no error of its own for it."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


class DoesNotFitError(TrainingError):
    """A step needs more memory than there is."""


@contextmanager
def enough_memory(batch: int) -> Iterator[None]:
    """A training that does not fit ends with a sentence.

    Args:
        batch: pairs per step.

    Raises:
        DoesNotFitError: an allocation failed.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise DoesNotFitError(
            f"A step of {batch} pairs does not fit into the memory ({_first_sentence(error)}). --batch-size auto finds "
            f"the largest batch that fits, optim.accumulation_steps=2 works this one off in two halves with the same "
            f"gradient, and model.checkpoint_activations=true needs less memory and about a third more time."
        ) from error


def _first_sentence(error: BaseException) -> str:
    return re.split(r"\.\s|\n", str(error))[0].rstrip(".") or type(error).__name__


def _peak_resident() -> int:
    """The peak of this program.

    psutil has no such figure on Linux. `getrusage` has, but also counts the process that started this one, up to the
    moment when it became this one: the kernel's own high-water mark comes first.
    """
    for line in _lines(Path("/proc/self/status")):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _proportional(process: int) -> int:
    """Memory of another process, pages that it shares with others in part; 0 where nobody tells."""
    try:
        found = psutil.Process(process).memory_full_info()
    except psutil.Error:  # it is gone, or belongs to somebody else
        return 0
    return int(getattr(found, "pss", found.uss))  # only Linux knows who shares a page with whom


def _of_control_groups(root: Path) -> Iterator[int]:
    """What the limits of this process's control group and of those around it leave."""
    lines = _lines(root / "proc/self/cgroup")
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        mounted, limit, usage, cache = _CONTROLLERS.get(controllers, ("",) * 4)
        inner = Path(path.strip("/"))
        for group in (inner, *inner.parents) if mounted else ():
            files = root / mounted / group
            most, used = _number(files / limit), _number(files / usage)
            if most is not None and used is not None:
                yield most - used + _cached(files / "memory.stat", cache)


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _cached(path: Path, name: str) -> int:
    """Of what is used, that which the kernel gives back when it is needed."""
    return next((int(line.split()[1]) for line in _lines(path) if line.split()[:1] == [name]), 0)


def _lines(path: Path) -> list[str]:
    """Of a file of the kernel; none where there is no such file."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
