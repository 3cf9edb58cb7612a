"""The process group: joining the other processes, leaving them, and the sentence that a lost peer becomes."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from pgsclip.distributed import World, get_rank, get_world_size
from pgsclip.errors import ConfigError, PgsclipError, TrainingError

_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|timed? ?out|broken pipe|socket|peer", re.IGNORECASE)


def join(world: World, device: torch.device, *, always: bool = False, minutes: float = 10.0) -> None:
    """Open the process group (NCCL on CUDA, gloo elsewhere). Alone only with `always`, which DeepSpeed needs.

    Args:
        minutes: how long a process waits for its peers, at the start and in every exchange, before it gives up.

    Raises:
        ConfigError: several processes without an address at which they meet.
    """
    if dist.is_initialized() or (world.size == 1 and not always):
        return
    if world.size == 1:
        os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", str(find_free_port()))
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
def joined(world: World, device: torch.device, *, minutes: float = 10.0) -> Iterator[None]:
    """Join the other processes, and leave them at the end, whatever happens."""
    join(world, device, minutes=minutes)
    try:
        yield
    finally:
        leave()


@contextmanager
def explain_lost_peers(advice: str) -> Iterator[None]:
    """End this process with a sentence when a peer dies or hangs, instead of a wait without end.

    Args:
        advice: what to do once the cause is mended.

    Raises:
        TrainingError: an exchange with the other processes broke off or timed out.
    """
    try:
        yield
    except PgsclipError:
        raise
    except RuntimeError as error:  # dist's own errors are of this kind, and gloo's have no other mark than their words
        if get_world_size() == 1 or not _LOST.search(str(error)):
            raise
        raise TrainingError(
            f"Process {get_rank()} lost its peers: another process stopped or did not answer in time. Look at the "
            f"first message of the others for the cause; {advice}."
        ) from None


def find_free_port() -> int:
    """Find a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
