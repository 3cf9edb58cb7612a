"""All chance of a run: one seed from many parts, and the generators of a step from (seed, rank, step, part).

Every use of chance draws from its own stream, so a resumed step is the same step. `derive` needs no torch, and torch is
imported only where a generator is made.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(*parts: int | str) -> int:
    """A 63-bit seed from any parts; changing one part gives an unrelated seed."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def step_generator(seed: int, rank: int, step: int, device: torch.device, part: int = 0) -> torch.Generator:
    """The generator that the masker of this step, or of a part of it, draws from, on `device`."""
    import torch

    return torch.Generator(device).manual_seed(derive(seed, "mask", rank, step, part))


def seed_step(seed: int, rank: int, step: int, part: int = 0) -> None:
    """Seed torch's global generators too, for models that have dropout of their own."""
    import torch

    torch.manual_seed(derive(seed, "model", rank, step, part))
