"""All chance of a run: one seed from many parts, and the generators of a step from (seed, rank, step, part).

Every use of chance draws from a stream of its own, named below, so a resumed step is the same step, and a new use moves
no other. `derive` needs no torch; torch is imported only where a generator is made.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


STREAMS = {
    "shards": "order of the shards in an epoch",
    "order": "order of the pairs of a table or folder in an epoch",
    "shuffle": "shuffle buffer of a worker in an epoch",
    "augment": "crop of an image in an epoch",
    "caption": "part of a caption that is read in an epoch",
    "mask": "masks of a step, or of a part of it, on a rank",
    "model": "dropout of a step, or of a part of it, on a rank",
    "loss": "first weights of an auxiliary loss",
    "masked": "masks of a tower in somebody else's loop, call after call",
    "scene": "drawn pairs, by number",
    "hard scene": "drawn pictures of the mask benchmarks, by number",
    "make": "order in which pairs are dealt out to shards",
    "contact": "pairs of a contact sheet",
    "bench masks": "masks of a mask benchmark, batch after batch",
}
"""Name of each stream → what is drawn from it. The first weights of a model come from the seed itself."""


def derive(*parts: int | str) -> int:
    """Derive a 63-bit seed from any parts; changing one part gives an unrelated seed."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def make_step_generator(seed: int, rank: int, step: int, device: torch.device, part: int = 0) -> torch.Generator:
    """Make the generator that the masker of a step, or of a part of it, draws from, on `device`."""
    import torch

    return torch.Generator(device).manual_seed(derive(seed, "mask", rank, step, part))


def seed_step(seed: int, rank: int, step: int, part: int = 0) -> None:
    """Seed torch's global generators too, for models that have dropout of their own."""
    import torch

    torch.manual_seed(derive(seed, "model", rank, step, part))
