"""The chance of one step, from (seed, rank, step, part): a resumed step is the same step."""

from __future__ import annotations

import torch

from pgsclip.chance import derive


def step_generator(seed: int, rank: int, step: int, device: torch.device, part: int = 0) -> torch.Generator:
    """The generator that the masker of this step, or of a part of it, draws from, on `device`."""
    return torch.Generator(device).manual_seed(derive(seed, "mask", rank, step, part))


def seed_step(seed: int, rank: int, step: int, part: int = 0) -> None:
    """Seed torch's global generators too, for models that have dropout of their own."""
    torch.manual_seed(derive(seed, "model", rank, step, part))
