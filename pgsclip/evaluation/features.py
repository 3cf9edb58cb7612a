"""Features of images and texts, computed in parallel on all processes and gathered in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pgsclip.distributed import gather_objects, gather_rows, get_rank, get_world_size, iterate_in_step
from pgsclip.evaluation.datasets import EvalBatch, Place
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.layouts import MissingSetError


class EncodedSet(NamedTuple):
    """All images of a split, in the order of its shards, the same on every rank."""

    features: Float[Tensor, "N D"]
    """Normalised, float32, on the CPU."""
    targets: list[Any]
    places: list[Place]


def encode_images(
    batches: Iterable[EvalBatch],
    encoder: Encoder,
    blank: Tensor,
    on_progress: Callable[[int], None] = lambda done: None,
) -> EncodedSet:
    """Encode this rank's batches and gather those of all ranks.

    Args:
        blank: (3, H, W), encoded by a rank that has run out while others have not: with ZeRO-3 all must take part.
        on_progress: called with how many images of this rank are done.

    Raises:
        MissingSetError: some rank cannot read its share.
    """
    rows: list[Tensor] = []
    targets: list[Any] = []
    places: list[Place] = []
    faults: list[str] = []

    def readable() -> Iterator[EvalBatch]:
        try:
            yield from batches
        except MissingSetError as error:
            faults.append(str(error))

    with torch.no_grad():
        for batch in iterate_in_step(readable()):
            features = encoder.encode_image(blank.unsqueeze(0) if batch is None else batch.images)
            if batch is not None:
                rows.append(features.float().cpu())
                targets += batch.targets
                places += batch.places
                on_progress(len(places))
    faults = [fault for one in gather_objects(faults) for fault in one]
    if faults:  # on all ranks alike, or the others would wait for this one
        raise MissingSetError(faults[0])
    width = features.shape[1] if rows or get_world_size() > 1 else 0
    own = torch.cat(rows) if rows else torch.zeros(0, width)
    everywhere, labels = gather_rows(own, list(zip(places, targets, strict=True)))
    order = sorted(range(len(labels)), key=lambda index: labels[index][0])
    return EncodedSet(everywhere[order], [labels[i][1] for i in order], [labels[i][0] for i in order])


def encode_texts(texts: Sequence[str], encoder: Encoder, batch_size: int) -> Float[Tensor, "T D"]:
    """Features of texts, in their order, on the CPU; every rank encodes a part and has all."""
    mine = list(range(get_rank(), len(texts), get_world_size()))
    chunks = (mine[start : start + batch_size] for start in range(0, len(mine), batch_size))
    rows = []
    with torch.no_grad():
        for chunk in iterate_in_step(chunks):
            features = encoder.encode_text(encoder.tokenizer([texts[i] for i in chunk or [0]]))
            if chunk is not None:
                rows.append(features.float().cpu())
    own = torch.cat(rows) if rows else torch.zeros(0, features.shape[1])
    everywhere, numbers = gather_rows(own, mine)
    return everywhere[torch.tensor(numbers).argsort()]
