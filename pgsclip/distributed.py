"""Exchanges between processes: agreeing, gathering, summing.

Every exchange works alone too, without an open process group: it then answers with what this process has. All ranks
must make the same exchanges in the same order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn import all_gather

from pgsclip.errors import PgsclipError

# torch announces a successor of `all_gather` that the older versions which we allow do not have
warnings.filterwarnings("ignore", r"torch\.distributed\.nn\.functional\.\w+ is deprecated", FutureWarning)

T = TypeVar("T")


class World(NamedTuple):
    """This process (`rank`) among `size` processes; `local_rank` is its number on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """True for the process that writes and prints."""
        return self.rank == 0


def get_rank() -> int:
    """Return the number of this process in the open process group; 0 when it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def get_world_size() -> int:
    """Return how many processes the open process group has; 1 when there is none."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait for all peers; nobody waits alone."""
    if get_world_size() > 1:
        own = [torch.cuda.current_device()] if dist.get_backend() == "nccl" else None  # else NCCL guesses, and says so
        dist.barrier(device_ids=own)


def is_true_on_any_rank(flag: bool) -> bool:
    """Decide together: return True on every process when the flag is true on any."""
    if get_world_size() == 1:
        return flag
    vote = torch.tensor([int(flag)], device=_exchange_device())
    dist.all_reduce(vote, op=dist.ReduceOp.MAX)
    return bool(vote.item())


class DelayedFlag:
    """`is_true_on_any_rank` without waiting: what is exchanged at one step is answered at the next, on all ranks alike.

    It has a gloo group of its own, so that the exchange neither waits for the GPU nor stands in NCCL's queue.
    """

    def __init__(self) -> None:
        self._group: Any = None if get_world_size() == 1 else dist.new_group(backend="gloo")
        self._flag = torch.zeros(1, dtype=torch.int32)
        self._pending: Any = None

    def exchange(self, flag: bool) -> bool:
        """Exchange a flag; return whether any rank's was true, at the call before, or now when alone."""
        if self._group is None:
            return flag
        answer = self.close()
        self._flag = torch.tensor([int(flag)], dtype=torch.int32)
        self._pending = dist.all_reduce(self._flag, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        return answer

    def close(self) -> bool:
        """Wait for the exchange that is on its way, if there is one; return its answer."""
        if self._pending is not None:
            self._pending.wait()
            self._pending = None
        return bool(self._flag.item())


def fail_together(act: Callable[[], None]) -> None:
    """Call `act` on all ranks; when it fails on one, it fails on all with the same sentence, and none waits for it.

    Raises:
        PgsclipError, OSError: as `act` raised it on the first rank where it failed.
    """
    failure: PgsclipError | OSError | None = None
    try:
        act()
    except (PgsclipError, OSError) as error:
        failure = error
    first = next((one for one in gather_objects(failure) if one is not None), None)
    if first is not None:
        raise first


def iterate_in_step(items: Iterator[T]) -> Iterator[T | None]:
    """Yield the items, then None while another rank still has some: all ranks take the same number of steps."""
    while True:
        item = next(items, None)
        if not is_true_on_any_rank(item is not None):
            return
        yield item


def gather_objects(value: T) -> list[T]:
    """Return every rank's value, in the order of ranks, on all of them. For small values, now and then."""
    if get_world_size() == 1:
        return [value]
    values: list[Any] = [None] * get_world_size()
    dist.all_gather_object(values, value)
    return values


def broadcast_object(value: T) -> T:
    """Return the leading rank's value on all of them. For small values, now and then."""
    if get_world_size() == 1:
        return value
    values: list[Any] = [value]
    dist.broadcast_object_list(values, src=0)
    leading: T = values[0]
    return leading


def gather_rows(own: Float[Tensor, "n D"], labels: list[T]) -> tuple[Float[Tensor, "N D"], list[T]]:
    """Concatenate the rows of all ranks and their labels, in rank order, on the CPU; ranks may differ in length."""
    if get_world_size() == 1:
        return own, labels
    all_labels = gather_objects(labels)
    longest = max(map(len, all_labels))
    padded = torch.zeros(longest, own.shape[1], device=_exchange_device())
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in all_labels]
    dist.all_gather(parts, padded)
    rows = torch.cat([part[: len(named)].cpu() for part, named in zip(parts, all_labels, strict=True)])
    return rows, [label for named in all_labels for label in named]


def gather_features(features: Float[Tensor, "B E"]) -> Float[Tensor, "N E"]:
    """Concatenate the features of all ranks, in rank order; differentiable. Every rank has the same B."""
    if get_world_size() == 1:
        return features
    return torch.cat(all_gather(features.contiguous()))  # type: ignore[no-untyped-call]


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all ranks, without gradient; the tensor itself when alone."""
    if get_world_size() == 1:
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total


def mean_over_ranks(tensor: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks, without gradient; the tensor itself when alone."""
    return tensor if get_world_size() == 1 else sum_over_ranks(tensor) / get_world_size()


def _exchange_device() -> str:
    """Return where a tensor must lie to be exchanged."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
