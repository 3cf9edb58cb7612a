"""`pgsclip bench maskers`: milliseconds per image of scoring and choosing, beside the straightforward method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import Tensor

from pgsclip.benchmarks.reference_pgs import straightforward_pgs
from pgsclip.benchmarks.timing import time_in_turns
from pgsclip.errors import MaskerError
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.masking.maskers.pgs import PgsMasker
from pgsclip.masking.pixels import coarsen
from pgsclip.masking.selection import select
from pgsclip.masking.transport import spread_patches
from pgsclip.models.device_speed import copy_rate, matrix_rate, wait_for

STRAIGHTFORWARD = "straightforward pgs"
_HALFWAY = 0.5
"""Share of the run that is done: PGS then looks at pixels and embeddings alike."""


@dataclass(frozen=True)
class MaskerCost:
    """Cost of one masker."""

    name: str
    milliseconds: float
    """Milliseconds per image, median over rounds."""
    ratio: float
    """Ratio to the straightforward method."""
    floor_milliseconds: float | None
    """Time to read images and embeddings once and to multiply the rows that are wanted, at this machine's rates; pgs
    only."""


def bench_maskers(
    maskers: list[MaskerHandle],
    *,
    image_size: int,
    patch_size: int,
    width: int,
    batch_size: int,
    ratio: float,
    repeats: int,
    device: torch.device,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[MaskerCost]:
    """Time every masker on the same random images and embeddings, halfway through a run.

    Args:
        image_size, patch_size: sides in pixels.
        width: numbers of an embedding.
        ratio: share of the patches to hide.
        repeats: timed rounds.

    Raises:
        MaskerError: images of this size have no grid of such patches.
    """
    inputs = _draw_inputs(image_size, patch_size, width, batch_size, device)

    def choose_straightforward() -> Tensor:
        return select(straightforward_pgs(inputs).keep, ratio, inputs.generator)

    def choose(handle: MaskerHandle) -> Tensor:
        return select(handle.score(inputs).keep.float(), ratio, inputs.generator)

    ways: dict[str, Callable[[], object]] = {STRAIGHTFORWARD: choose_straightforward}
    ways |= {handle.name: partial(choose, handle) for handle in maskers}
    with torch.no_grad():
        times = time_in_turns(ways, repeats, wait=lambda: wait_for(device), on_progress=on_progress)
    each = {name: 1000 * median(took) / batch_size for name, took in times.items()}
    floors = {
        handle.name: _count_floor(handle.masker, inputs.grid, width, device)
        for handle in maskers
        if isinstance(handle.masker, PgsMasker)
    }
    return [MaskerCost(name, cost, cost / each[STRAIGHTFORWARD], floors.get(name)) for name, cost in each.items()]


def _draw_inputs(image_size: int, patch_size: int, width: int, batch_size: int, device: torch.device) -> MaskInputs:
    if image_size % patch_size:
        raise MaskerError(
            f"Pictures of {image_size} pixels cannot be cut into patches of {patch_size}; "
            f"give an --image-size that is a multiple of --patch-size."
        )
    grid = Grid(image_size // patch_size, image_size // patch_size, patch_size)
    rng = torch.Generator(device).manual_seed(0)
    images = torch.randn(batch_size, 3, image_size, image_size, device=device, generator=rng)
    patches = torch.randn(batch_size, grid.patches, width, device=device, generator=rng)
    return MaskInputs(images, patches, grid, _HALFWAY, rng)


def _count_floor(masker: PgsMasker, grid: Grid, width: int, device: torch.device) -> float:
    """Milliseconds per image."""
    params = masker.params
    rows = max(1, round(params.candidate_share * grid.patches))
    if params.transport:
        rows += len(spread_patches(grid, params.landmarks, device))
    wide = 3 * coarsen(grid, params.detail).side ** 2 + (width if params.use_embeddings else 0)
    operations = 2 * rows * grid.patches * wide
    numbers = 3 * grid.patches * grid.side**2 + (grid.patches * width if params.use_embeddings else 0)
    return 1000 * (operations / matrix_rate(device, torch.float32) + 4 * numbers / copy_rate(device))
