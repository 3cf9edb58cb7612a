"""Features of whatever is to be encoded, shared between processes and gathered in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from pgsclip.evaluation.datasets import Batch, Place
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.layouts import MissingSetError

_T = TypeVar("_T")


class Encoded(NamedTuple):
    """All images of a split, in the order of its shards, the same on every rank."""

    features: Float[Tensor, "N D"]
    """Normalised, float32, on the CPU."""
    targets: list[Any]
    places: list[Place]


def ranks() -> tuple[int, int]:
    """(rank, world size) of this process."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def encode_images(
    batches: Iterable[Batch], encoder: Encoder, blank: Tensor, progress: Callable[[int], None] = lambda done: None
) -> Encoded:
    """Features of this rank's batches and of all other ranks'.

    Args:
        blank: (3, H, W), encoded by a rank that has run out while others have not: with ZeRO-3 all must take part.
        progress: told how many images of this rank are done.

    Raises:
        MissingSetError: some rank cannot read its share.
    """
    rows: list[Tensor] = []
    targets: list[Any] = []
    places: list[Place] = []
    faults: list[str] = []

    def readable() -> Iterator[Batch]:
        try:
            yield from batches
        except MissingSetError as error:
            faults.append(str(error))

    with torch.no_grad():
        for batch in in_step(readable()):
            features = encoder.encode_image(blank.unsqueeze(0) if batch is None else batch.images)
            if batch is not None:
                rows.append(features.float().cpu())
                targets += batch.targets
                places += batch.places
                progress(len(places))
    faults = [fault for one in from_all(faults) for fault in one]
    if faults:  # on all ranks alike, or the others would wait for this one
        raise MissingSetError(faults[0])
    width = features.shape[1] if rows or ranks()[1] > 1 else 0
    own = torch.cat(rows) if rows else torch.zeros(0, width)
    everywhere, labels = gather(own, list(zip(places, targets, strict=True)))
    order = sorted(range(len(labels)), key=lambda index: labels[index][0])
    return Encoded(everywhere[order], [labels[i][1] for i in order], [labels[i][0] for i in order])


def encode_texts(texts: Sequence[str], encoder: Encoder, batch_size: int) -> Float[Tensor, "T D"]:
    """Features of texts, in their order, on the CPU; every rank encodes a part and has all."""
    rank, world = ranks()
    mine = list(range(rank, len(texts), world))
    rows = []
    with torch.no_grad():
        for chunk in in_step(iter(mine[start : start + batch_size] for start in range(0, len(mine), batch_size))):
            features = encoder.encode_text(encoder.tokenizer([texts[i] for i in chunk or [0]]))
            if chunk is not None:
                rows.append(features.float().cpu())
    own = torch.cat(rows) if rows else torch.zeros(0, features.shape[1])
    everywhere, numbers = gather(own, mine)
    return everywhere[torch.tensor(numbers).argsort()]


def in_step(items: Iterator[_T]) -> Iterator[_T | None]:
    """The items, and None for as long as another rank has more of them: all ranks take the same number of steps."""
    alone = ranks()[1] == 1
    while True:
        item = next(items, None)
        if alone:
            if item is None:
                return
        else:
            device = "cuda" if dist.get_backend() == "nccl" else "cpu"
            more = torch.tensor([int(item is not None)], device=device)
            dist.all_reduce(more, op=dist.ReduceOp.MAX)
            if not more.item():
                return
        yield item


def from_all(value: _T) -> list[_T]:
    """What each rank has, in their order, on all of them."""
    if ranks()[1] == 1:
        return [value]
    found: list[Any] = [None] * ranks()[1]
    dist.all_gather_object(found, value)
    return found


def gather(own: Float[Tensor, "N D"], labels: list[Any]) -> tuple[Tensor, list[Any]]:
    """The rows of all ranks with one label each, rank after rank."""
    if ranks()[1] == 1:
        return own, labels
    all_labels = from_all(labels)
    device = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
    longest = max(map(len, all_labels))
    padded = torch.zeros(longest, own.shape[1], device=device)
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in all_labels]
    dist.all_gather(parts, padded)
    rows = torch.cat([part[: len(found)].cpu() for part, found in zip(parts, all_labels, strict=True)])
    return rows, [label for found in all_labels for label in found]
