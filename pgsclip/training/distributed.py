"""Who this process is among its peers, and how they are joined."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist

from pgsclip.errors import ConfigError

TIMEOUT = timedelta(minutes=10)


class World(NamedTuple):
    """This process (`rank`) among `size` processes; `local_rank` is its number on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0


def read_world() -> World:
    """From RANK, WORLD_SIZE and LOCAL_RANK as torchrun and the DeepSpeed launcher set them; alone without them."""
    try:
        world = World(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))
    except ValueError:
        given = {name: os.environ.get(name) for name, _ in _VARIABLES}
        raise ConfigError(f"RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers, not {given}.") from None
    if not 0 <= world.rank < world.size:
        raise ConfigError(
            f"RANK {world.rank} does not fit WORLD_SIZE {world.size}; start with torchrun, or unset both."
        )
    return world


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def join(world: World, device: torch.device, *, always: bool = False) -> None:
    """Open the process group (NCCL on CUDA, gloo elsewhere). Alone only with `always`, which DeepSpeed needs."""
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
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)


def leave() -> None:
    """Close the process group if one is open."""
    if dist.is_initialized():
        dist.destroy_process_group()


def barrier() -> None:
    """Wait for all peers."""
    if dist.is_initialized():
        dist.barrier()


def agree(flag: bool) -> bool:
    """True on every process when it is true on any: decisions that all must take together."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    vote = torch.tensor([int(flag)], device=device)
    dist.all_reduce(vote, op=dist.ReduceOp.MAX)
    return bool(vote.item())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
