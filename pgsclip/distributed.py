"""Who this process is among its peers, how they are joined, and how they talk beside the gradients."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist

from pgsclip.errors import ConfigError, PgsclipError, TrainingError

T = TypeVar("T")


class World(NamedTuple):
    """This process (`rank`) among `size` processes; `local_rank` is its number on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0


_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, the DeepSpeed launcher
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # srun; a batch script itself is no step
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),  # MPICH, Intel MPI
)
_PORT = 29500


def read_world() -> World:
    """From the variables of torchrun, DeepSpeed, srun or mpirun, whichever has set its number of processes.

    What torch and DeepSpeed want to find (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) is set from them.
    Without any, this process is alone.

    Raises:
        ConfigError: the variables contradict each other.
    """
    names = next((names for names in _LAUNCHERS if os.environ.get(names[1])), _LAUNCHERS[0])
    given = {name: os.environ.get(name) or default for name, default in zip(names, "010", strict=True)}
    try:
        world = World(*(int(value) for value in given.values()))
    except ValueError:
        raise ConfigError(f"{', '.join(names[:2])} and {names[2]} must be whole numbers, not {given}.") from None
    if not 0 <= world.rank < world.size:
        raise ConfigError(
            f"{names[0]} {world.rank} does not fit {names[1]} {world.size}; start with torchrun, or unset both."
        )
    if world.size > 1 and names is not _LAUNCHERS[0]:
        os.environ.update(RANK=str(world.rank), WORLD_SIZE=str(world.size), LOCAL_RANK=str(world.local_rank))
        _find_meeting_point()
    return world


def _find_meeting_point() -> None:
    """Under Slurm the first machine of the job, at a port of its own."""
    hosts = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST")
    if hosts:
        os.environ.setdefault("MASTER_ADDR", first_host(hosts))
        os.environ.setdefault("MASTER_PORT", str(_PORT + int(os.environ.get("SLURM_JOB_ID", "0")) % 1000))


def first_host(hosts: str) -> str:
    """`gpu[003-006,9],login` → `gpu003`, as Slurm writes lists of machines."""
    found = re.match(r"([^\[,]+)(?:\[(\d+)[^\]]*\]([^,]*))?", hosts)
    assert found is not None
    return "".join(part or "" for part in found.groups())


def join(world: World, device: torch.device, *, always: bool = False, minutes: float = 10) -> None:
    """Open the process group (NCCL on CUDA, gloo elsewhere). Alone only with `always`, which DeepSpeed needs.

    Args:
        minutes: how long a process waits for its peers, at the start and in every exchange, before it gives up.
    """
    if dist.is_initialized() or (world.size == 1 and not always):
        return
    if world.size == 1:
        os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", str(_free_port()))
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {world.size} but {' and '.join(missing)} is not set, so the processes cannot find "
            f"each other; start with torchrun, which sets both."
        )
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(minutes=minutes))


def leave() -> None:
    """Close the process group if one is open."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def peers() -> Iterator[None]:
    """A peer that dies or hangs ends this process with a sentence instead of a wait without end.

    Raises:
        TrainingError: an exchange with the other processes broke off or timed out.
    """
    try:
        yield
    except PgsclipError:
        raise
    except RuntimeError as error:  # dist's own errors are of this kind, and gloo's have no other mark than their words
        if not dist.is_initialized() or dist.get_world_size() == 1 or not _LOST.search(str(error)):
            raise
        raise TrainingError(
            f"Process {dist.get_rank()} lost its peers: another process stopped or did not answer in time. Look at the "
            f"first message of the others for the cause; go on from the last checkpoint with --resume."
        ) from None


_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|timed? ?out|broken pipe|socket|peer", re.IGNORECASE)


def barrier() -> None:
    """Wait for all peers; nobody waits alone."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        own = [torch.cuda.current_device()] if dist.get_backend() == "nccl" else None  # else NCCL guesses, and says so
        dist.barrier(device_ids=own)


def agree(flag: bool) -> bool:
    """True on every process when it is true on any: decisions that all must take together."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    vote = torch.tensor([int(flag)], device=device)
    dist.all_reduce(vote, op=dist.ReduceOp.MAX)
    return bool(vote.item())


def collect(value: T) -> list[T]:
    """Every rank's value, in the order of ranks, on all of them. For small things, now and then."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def together(act: Callable[[], None]) -> None:
    """Do something on all ranks; if it fails on one, it fails on all with the same sentence, and none waits for it.

    Raises:
        PgsclipError, OSError: as `act` raised it on the first rank where it failed.
    """
    failure: PgsclipError | OSError | None = None
    try:
        act()
    except (PgsclipError, OSError) as error:
        failure = error
    found = next((one for one in collect(failure) if one is not None), None)
    if found is not None:
        raise found


class Vote:
    """`agree` at every step without waiting: the answer to a question comes at the next one, alike on all ranks."""

    def __init__(self) -> None:
        alone = not dist.is_initialized() or dist.get_world_size() == 1
        self._group: Any = None if alone else dist.new_group(backend="gloo")
        self._flag = torch.zeros(1, dtype=torch.int32)
        self._asked: Any = None

    def cast(self, flag: bool) -> bool:
        """Whether anyone said yes: now when alone, else at the step before."""
        if self._group is None:
            return flag
        answer = self.close()
        self._flag = torch.tensor([int(flag)], dtype=torch.int32)
        self._asked = dist.all_reduce(self._flag, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        return answer

    def close(self) -> bool:
        """Wait for the open question, if there is one; its answer."""
        if self._asked is not None:
            self._asked.wait()
            self._asked = None
        return bool(self._flag.item())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
