"""`pgsclip bench step`: what a training step costs with each masker, beside open_clip's own step.

Variants take turns within one process; figures are medians and ratios of medians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import repeat
from statistics import median

import open_clip
import torch
from open_clip.transformer import Transformer
from torch import Tensor

from pgsclip.benchmarks.step_pairs import Pairs, drawn_pairs, loaded_pairs
from pgsclip.benchmarks.timing import seconds_in_turns
from pgsclip.config.ratio import Ratio
from pgsclip.config.schema import MaskerConfig, ModelConfig, RunConfig
from pgsclip.distributed import World
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.device_speed import matrix_rate, wait_for
from pgsclip.models.flops import FORWARD_AND_BACKWARD, count_flops
from pgsclip.models.quiet_logs import quiet_logs
from pgsclip.models.towers.compiled import compile_blocks
from pgsclip.seeding import step_generator
from pgsclip.training.assemble import build_task
from pgsclip.training.engines.base import autocast_dtype
from pgsclip.training.task import View


@dataclass(frozen=True)
class Cost:
    """One variant: seconds of its median step, and the ratio to open_clip's unmasked step."""

    name: str
    seconds: float
    ratio: float
    kept: float
    floor_seconds: float | None
    """What its matrix products take at the rate at which this machine multiplies large matrices; None where they
    cannot be counted."""
    memory_gib: float | None
    """Weights, moments and the most that the step needs beside them; on a GPU only."""

    @property
    def times_floor(self) -> float | None:
        """How far the step is from its arithmetic."""
        return None if self.floor_seconds is None else self.seconds / self.floor_seconds

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilisation (arXiv 2204.02311, appendix B), of the measured rate."""
        return None if self.floor_seconds is None else self.floor_seconds / self.seconds


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
    progress: Callable[[str], None] = lambda _: None,
) -> list[Cost]:
    """Time forward, backward and AdamW on one batch that lies ready, the same for all variants.

    Args:
        model: an open_clip model name.
        maskers: (name, ratio) of each of our variants.
        batch_size: pairs per step.
        repeats: timed rounds; one more round warms up.
        precision: as `engine.precision`, for all variants.
        caption_tokens: mean length of random captions; all as long as the model can read when None.
        compiled: the blocks of all variants by torch.compile.
        data: pairs as `data.spec` names them, instead of drawn scenes and random captions; one variant more, the last
            masker, gets each batch from the loader.
    """
    built = build_model(ModelConfig(name=model), seed=0, loss_has_bias=False)
    dtype = autocast_dtype(precision, device)
    torch.manual_seed(0)
    loader = None if data is None else loaded_pairs(built, data, batch_size, device)
    batch = drawn_pairs(built, batch_size, caption_tokens, device) if loader is None else next(loader)
    variants = _variants(model, maskers, batch, device, dtype, compiled)
    if loader is not None and maskers:
        variants.append(replace(variants[-1], name=f"{variants[-1].name}, from the loader", pairs=loader))
    ways = {one.name: partial(one.run, device) for one in variants}
    times = seconds_in_turns(ways, repeats, wait=lambda: wait_for(device), progress=progress)
    rate = matrix_rate(device, dtype or torch.float32)
    held = 12 * sum(parameter.numel() for parameter in built.model.parameters())  # float32: weights and two moments
    unmasked = median(times[variants[0].name])
    return [
        Cost(
            one.name,
            seconds=median(times[one.name]),
            ratio=median(times[one.name]) / unmasked,
            kept=one.kept,
            floor_seconds=_floor(built, one.kept, batch, rate, whole_texts=one.is_theirs),
            memory_gib=(held + one.memory) / 2**30 if device.type == "cuda" else None,
        )
        for one in variants
    ]


def as_json(costs: list[Cost]) -> list[dict[str, object]]:
    """For `--json`."""
    return [{**asdict(cost), "times_floor": cost.times_floor, "mfu": cost.mfu} for cost in costs]


_Step = Callable[[Pairs], float]
"""Trains on a batch and gives the share of patches kept."""


@dataclass
class _Variant:
    """One way to make a step, and what its steps came to."""

    name: str
    step: _Step
    pairs: Iterator[Pairs]
    is_theirs: bool = False
    kept: float = 0.0
    memory: int = 0
    """Bytes that a step needs at most beside what lies there before it."""

    def run(self, device: torch.device) -> None:
        before = _start_of_peak(device)
        self.kept = self.step(next(self.pairs))
        if before is not None:
            self.memory = max(self.memory, torch.cuda.max_memory_allocated(device) - before)


def _variants(
    model: str,
    maskers: list[tuple[str, Ratio]],
    batch: Pairs,
    device: torch.device,
    dtype: torch.dtype | None,
    compiled: bool,
) -> list[_Variant]:
    """open_clip's unmasked step first, its steps with patch dropout at our ratios, then ours."""
    shares = sorted({0.0, *(ratio.high for _, ratio in maskers if not ratio.is_range)})
    variants = []
    for share in shares:
        name = f"open_clip, patch_dropout {share:g}" if share else "open_clip, no mask"
        step = _open_clip_step(model, share, device, dtype, compiled)
        variants.append(_Variant(name, step, repeat(batch), is_theirs=True))
    for name, ratio in maskers:
        step = _our_step(name, ratio, model, device, dtype, compiled)
        variants.append(_Variant(f"{name} {ratio}", step, repeat(batch)))
    return variants


def _open_clip_step(
    name: str, dropout: float, device: torch.device, dtype: torch.dtype | None, compiled: bool
) -> _Step:
    with quiet_logs():
        model = open_clip.create_model(name, force_patch_dropout=dropout).to(device).train()
    if compiled:
        towers = [module for module in model.modules() if isinstance(module, Transformer)]
        compile_blocks([block for tower in towers for block in tower.resblocks], device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    loss_of = open_clip.ClipLoss()

    def step(batch: Pairs) -> float:
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            image_features, text_features, scale = model(batch.images, batch.texts)
            loss = loss_of(image_features, text_features, scale)
        _update(optimizer, loss)
        return 1 - dropout

    return step


def _our_step(
    name: str, ratio: Ratio, model: str, device: torch.device, dtype: torch.dtype | None, compiled: bool
) -> _Step:
    config = RunConfig(model=ModelConfig(name=model), masker=MaskerConfig(name=name, ratio=ratio))
    _, task = build_task(config, World())
    task.to(device).train()
    if compiled:
        compile_blocks(task.blocks, device)
    optimizer = torch.optim.AdamW(task.parameters(), fused=True)
    rounds = iter(range(10**9))

    def step(batch: Pairs) -> float:
        view = View(0.5, step_generator(0, 0, next(rounds), device))
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            loss, report = task(batch.images, batch.texts, batch.lengths, view)
        _update(optimizer, loss)
        return float(report.kept)

    return step


def _start_of_peak(device: torch.device) -> int | None:
    """Bytes in use before a step, after which the peak is counted anew; None where nobody counts."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _floor(built: BuiltModel, kept: float, batch: Pairs, rate: float, *, whole_texts: bool) -> float | None:
    """Seconds of forward and backward of the batch at `rate` FLOPs per second."""
    patches = round(kept * built.patches)
    tokens = batch.texts.shape[1] if whole_texts else round(float(batch.lengths.float().mean()))
    try:
        each = count_flops(built, kept_patches=patches, text_length=tokens)
    except ModelError:
        return None
    return float(FORWARD_AND_BACKWARD) * len(batch.images) * (each.image + each.text) / rate


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
