"""Which process this is: the variables that torchrun, DeepSpeed, srun and mpirun set for each one they start."""

from __future__ import annotations

import os
import re

from pgsclip.distributed import World
from pgsclip.errors import ConfigError

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, the DeepSpeed launcher
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # srun; a batch script itself is no step
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),  # MPICH, Intel MPI
)
_PORT = 29500


def read_world() -> World:
    """Read rank and number of processes from the variables of the launcher that started this one.

    A launcher counts when it has set its number of processes; without one, this process is alone. Under srun and mpirun
    the variables that torch and DeepSpeed read (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) are set too.

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
    """Under Slurm, let the ranks meet on the first machine of the job, at a port that depends on the job."""
    hosts = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST")
    if hosts:
        os.environ.setdefault("MASTER_ADDR", first_host(hosts))
        os.environ.setdefault("MASTER_PORT", str(_PORT + int(os.environ.get("SLURM_JOB_ID", "0")) % 1000))


def first_host(hosts: str) -> str:
    """Return the first machine of a list as Slurm writes it: `gpu[003-006,9],login` → `gpu003`."""
    found = re.match(r"([^\[,]+)(?:\[(\d+)[^\]]*\]([^,]*))?", hosts)
    assert found is not None
    return "".join(part or "" for part in found.groups())
