"""The training steps that `pgsclip bench step` compares: open_clip's own, and ours with each masker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, repeat

import open_clip
import torch
from open_clip.transformer import Transformer
from torch import Tensor

from pgsclip.benchmarks.step_pairs import StepBatch
from pgsclip.config.ratio import Ratio
from pgsclip.config.schema import MaskerConfig, ModelConfig, RunConfig
from pgsclip.distributed import World
from pgsclip.models.quiet_logs import quiet_logs
from pgsclip.models.towers.compiled import compile_blocks
from pgsclip.seeding import make_step_generator
from pgsclip.training.assemble import build_task
from pgsclip.training.features import StepContext

_HALFWAY = 0.5
"""Share of the run that is done: PGS then looks at pixels and embeddings alike."""

Step = Callable[[StepBatch], float]
"""Trains on a batch and returns the share of patches kept."""


@dataclass(frozen=True)
class Setting:
    """Setting that all variants share."""

    model: str
    """An open_clip model name."""
    device: torch.device
    dtype: torch.dtype | None
    """Type of autocast; None without."""
    compiled: bool
    """True to compile the blocks by torch.compile."""


@dataclass
class Variant:
    """One way to make a step, and the figures of its steps."""

    name: str
    step: Step
    batches: Iterator[StepBatch]
    is_open_clip: bool = False
    kept: float = 0.0
    """Share of patches kept in the last step."""
    memory: int = 0
    """Bytes that a step needs at most beside what lies there before it; 0 where they are not counted."""

    def run(self, device: torch.device) -> None:
        """Make one step."""
        before = _start_of_peak(device)
        self.kept = self.step(next(self.batches))
        if before is not None:
            self.memory = max(self.memory, torch.cuda.max_memory_allocated(device) - before)


def build_variants(maskers: list[tuple[str, Ratio]], batch: StepBatch, setting: Setting) -> list[Variant]:
    """Build open_clip's unmasked step first, then its steps with patch dropout at our ratios, then ours."""
    variants = []
    for dropout in sorted({0.0, *(ratio.high for _, ratio in maskers if not ratio.is_range)}):
        name = f"open_clip, patch_dropout {dropout:g}" if dropout else "open_clip, no mask"
        variants.append(Variant(name, _build_open_clip_step(dropout, setting), repeat(batch), is_open_clip=True))
    for masker, ratio in maskers:
        variants.append(Variant(f"{masker} {ratio}", _build_own_step(masker, ratio, setting), repeat(batch)))
    return variants


def _build_open_clip_step(dropout: float, setting: Setting) -> Step:
    with quiet_logs():
        model = open_clip.create_model(setting.model, force_patch_dropout=dropout).to(setting.device).train()
    if setting.compiled:
        towers = [module for module in model.modules() if isinstance(module, Transformer)]
        compile_blocks([block for tower in towers for block in tower.resblocks], setting.device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    loss_of = open_clip.ClipLoss()

    def step(batch: StepBatch) -> float:
        with torch.autocast(setting.device.type, setting.dtype, enabled=setting.dtype is not None):
            image_features, text_features, scale = model(batch.images, batch.texts)
            loss = loss_of(image_features, text_features, scale)
        _update(optimizer, loss)
        return 1 - dropout

    return step


def _build_own_step(masker: str, ratio: Ratio, setting: Setting) -> Step:
    config = RunConfig(model=ModelConfig(name=setting.model), masker=MaskerConfig(name=masker, ratio=ratio))
    _, task = build_task(config, World())
    task.to(setting.device).train()
    if setting.compiled:
        compile_blocks(task.blocks, setting.device)
    optimizer = torch.optim.AdamW(task.parameters(), fused=True)
    numbers = count()

    def step(batch: StepBatch) -> float:
        context = StepContext(_HALFWAY, make_step_generator(0, 0, next(numbers), setting.device))
        with torch.autocast(setting.device.type, setting.dtype, enabled=setting.dtype is not None):
            loss, report = task(batch.images, batch.texts, batch.lengths, context)
        _update(optimizer, loss)
        return float(report.patches_kept)

    return step


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _start_of_peak(device: torch.device) -> int | None:
    """Reset the peak and return the bytes in use before a step; None on devices that do not count them."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)
