"""The chance of one step, from (seed, rank, step): a resumed step is the same step."""

from __future__ import annotations

import torch

from pgsclip.chance import derive


def step_generator(seed: int, rank: int, step: int, device: torch.device) -> torch.Generator:
    """The generator that the masker of this step draws from, on `device`."""
    return torch.Generator(device).manual_seed(derive(seed, "mask", rank, step))


def seed_step(seed: int, rank: int, step: int) -> None:
    """Seed torch's global generators too, for models that have dropout of their own."""
    torch.manual_seed(derive(seed, "model", rank, step))
