"""One number per (seed, rank, step): all chance of a step comes from it, so a resumed step is the same step."""

from __future__ import annotations

import hashlib

import torch


def derive(*parts: int | str) -> int:
    """A 63-bit seed from any parts; changing one part gives an unrelated seed."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def step_generator(seed: int, rank: int, step: int, device: torch.device) -> torch.Generator:
    """The generator that the masker of this step draws from, on `device`."""
    return torch.Generator(device).manual_seed(derive(seed, "mask", rank, step))


def seed_step(seed: int, rank: int, step: int) -> None:
    """Seed torch's global generators too, for models that have dropout of their own."""
    torch.manual_seed(derive(seed, "model", rank, step))
