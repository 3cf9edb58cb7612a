"""`pgsclip bench step`: what a training step costs with each masker, beside open_clip's own step.

Variants take turns within one process; figures are medians and ratios of medians.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch

from pgsclip.benchmarks.step_pairs import StepBatch, draw_pairs, load_pairs
from pgsclip.benchmarks.step_variants import Setting, Variant, build_variants
from pgsclip.benchmarks.timing import time_in_turns
from pgsclip.config.ratio import Ratio
from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.device_speed import matrix_rate, wait_for
from pgsclip.models.flops import FORWARD_AND_BACKWARD, count_flops
from pgsclip.training.engines.base import autocast_dtype

_ADAM_BYTES = 12
"""Bytes of a parameter in training: float32 weight and two moments."""


@dataclass(frozen=True)
class StepCost:
    """Cost of one variant."""

    name: str
    seconds: float
    """Seconds of the median step."""
    ratio: float
    """Ratio to open_clip's unmasked step."""
    kept: float
    """Share of patches kept."""
    floor_seconds: float | None
    """Seconds of its matrix products at the rate at which this machine multiplies large matrices; None where they
    cannot be counted."""
    times_floor: float | None
    """Seconds as a multiple of the floor."""
    mfu: float | None
    """Model FLOPs utilisation (arXiv 2204.02311, appendix B), of the measured rate."""
    memory_gib: float | None
    """Weights, moments and the most that the step needs beside them; on a GPU only."""


def bench_step(
    model: str,
    maskers: list[tuple[str, Ratio]],
    *,
    batch_size: int,
    repeats: int,
    device: torch.device,
    precision: str = "fp32",
    caption_tokens: int | None = None,
    compiled: bool = False,
    data: str | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[StepCost]:
    """Time forward, backward and AdamW on one batch that lies ready, the same for all variants.

    Args:
        model: an open_clip model name.
        maskers: (name, ratio) of each of our variants.
        batch_size: pairs per step.
        repeats: timed rounds; one more round warms up.
        precision: as `engine.precision`, for all variants.
        caption_tokens: mean length of random captions; all as long as the model can read when None.
        compiled: compile the blocks of all variants by torch.compile.
        data: pairs as `data.source` names them, instead of drawn scenes and random captions; one variant more, the last
            masker, gets each batch from the loader.

    Raises:
        ModelError, MaskerError, DataError: no such model, masker or data, or a ratio that the masker cannot choose.
    """
    built = build_model(ModelConfig(name=model), seed=0, loss_has_bias=False)
    setting = Setting(model, device, autocast_dtype(precision, device), compiled)
    torch.manual_seed(0)
    loader = None if data is None else load_pairs(built, data, batch_size, device)
    batch = draw_pairs(built, batch_size, caption_tokens, device) if loader is None else next(loader)
    variants = build_variants(maskers, batch, setting)
    if loader is not None and maskers:
        variants.append(replace(variants[-1], name=f"{variants[-1].name}, from the loader", batches=loader))
    ways = {one.name: partial(one.run, device) for one in variants}
    times = time_in_turns(ways, repeats, wait=lambda: wait_for(device), on_progress=on_progress)
    return _price(built, variants, batch, times, setting)


def _price(
    built: BuiltModel, variants: list[Variant], batch: StepBatch, times: dict[str, list[float]], setting: Setting
) -> list[StepCost]:
    rate = matrix_rate(setting.device, setting.dtype or torch.float32)
    held = _ADAM_BYTES * sum(parameter.numel() for parameter in built.model.parameters())
    unmasked = median(times[variants[0].name])
    costs = []
    for one in variants:
        seconds = median(times[one.name])
        floor = _count_floor(built, one.kept, batch, rate, whole_texts=one.is_open_clip)
        times_floor, mfu = (None, None) if floor is None else (seconds / floor, floor / seconds)
        memory = (held + one.memory) / 2**30 if setting.device.type == "cuda" else None
        costs.append(StepCost(one.name, seconds, seconds / unmasked, one.kept, floor, times_floor, mfu, memory))
    return costs


def _count_floor(built: BuiltModel, kept: float, batch: StepBatch, rate: float, *, whole_texts: bool) -> float | None:
    """Seconds of forward and backward of the batch at `rate` FLOPs per second."""
    patches = round(kept * built.patches)
    tokens = batch.texts.shape[1] if whole_texts else round(float(batch.lengths.float().mean()))
    try:
        each = count_flops(built, kept_patches=patches, text_length=tokens)
    except ModelError:
        return None
    return float(FORWARD_AND_BACKWARD) * len(batch.images) * (each.image + each.text) / rate
