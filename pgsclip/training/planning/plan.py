"""What a run would take, before it takes it: samples, steps, patches, FLOPs, memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from pgsclip.config.phases import Phase, plan_phases
from pgsclip.config.schema import RunConfig
from pgsclip.data.spec import open_source
from pgsclip.distributed import World
from pgsclip.errors import ModelError, TrainingError
from pgsclip.masking.selection import count_kept
from pgsclip.models.build import BuiltModel
from pgsclip.models.flops import count_flops
from pgsclip.training.assemble import build_task, open_device, open_training_data
from pgsclip.training.engines.base import autocast_dtype, pick_engine
from pgsclip.training.planning.forecast import Forecast, forecast_lines
from pgsclip.training.planning.trial_process import probe_apart

_TYPICAL_CAPTION = 20
"""Tokens of a web caption with its two markers, CC12M's mean: what a sorted group of captions is cut to, about."""


class Compute(NamedTuple):
    """GFLOPs of a pair, forward and backward, of all views; a masker's own model is not counted."""

    image: float
    """At the middle of the patches that images show."""
    text: float
    unmasked_image: float

    def line(self, samples: int) -> str:
        """The figures, and what they come to over all samples."""
        pair, share = self.image + self.text, self.image / self.unmasked_image
        return (
            f"{pair:.2f} GFLOPs per pair, forward and backward (image {self.image:.2f}, {share:.0%} of unmasked; text "
            f"{self.text:.2f}); {pair * samples / 1e6:.3g} PFLOPs in all"
        )


@dataclass(frozen=True)
class Plan:
    """The figures of `--dry-run`."""

    description: str
    epoch_samples: int
    samples: int
    steps: int
    patches: int
    kept: tuple[int, int]
    """Fewest and most patches that an image shows."""
    compute: Compute | str
    """What a pair costs, or why nobody could count it."""
    parameters: int
    state_gib: float
    """Weights, gradients and Adam's moments on one process, fp32, under the engine's ZeRO stage."""
    engine: str
    later: list[str]
    """A line for each phase after the first, whose figures the others are."""
    measured: tuple[str, ...] = ()
    """Lines of what a few steps took, or why none were made."""

    def lines(self) -> list[str]:
        """The plan as text."""
        fewest, most = self.kept
        shown = f"{most}" if fewest == most else f"{fewest} to {most}"
        return [
            f"data     {self.description}",
            f"samples  {self.samples:,} in {self.steps:,} steps = {self.samples / self.epoch_samples:.2f} epochs "
            f"of {self.epoch_samples:,}",
            f"patches  {shown} of {self.patches} per image" if self.patches > 1 else "patches  none: whole images",
            f"compute  {self.compute if isinstance(self.compute, str) else self.compute.line(self.samples)}",
            f"memory   {self.parameters / 1e6:.1f} M parameters; weights, gradients and Adam {self.state_gib:.2f} GiB "
            f"per process, activations come on top",
            f"engine   {self.engine}",
            *(f"then     {line}" for line in self.later),
            *self.measured,
        ]


def measured(plan: Plan, config: RunConfig, world: World) -> Plan:
    """The plan with what a few real steps of each phase take; a phase that cannot be measured says why."""
    if world.size > 1:
        why = f"a plan makes steps in one process, and this run has {world.size}; plan one alone to see what those take"
        return replace(plan, measured=(f"measured nothing: {why}",))
    phases = plan_phases(config, plan.epoch_samples)
    try:
        forecasts = [Forecast(probe_apart(config, phase.number), phase.steps) for phase in phases]
    except TrainingError as error:
        return replace(plan, measured=(f"measured nothing: {error}",))
    return replace(plan, measured=tuple(forecast_lines(forecasts, phases)))


def make_plan(config: RunConfig, world: World) -> Plan:
    """Build model and data, count, train nothing."""
    built, task = build_task(config, world, count_words=False, numbers=False)
    stream = open_training_data(config, built, open_source(config.data.spec, config.data), world)
    phases = plan_phases(config, stream.size)
    steps = phases[-1].end
    device = open_device(config.engine.device, world)
    engine = pick_engine(config.engine, world, device)
    total = built.patches
    ratio = config.masker.ratio
    kept = (count_kept(total, ratio.high), count_kept(total, ratio.low))
    parameters = sum(p.numel() for p in task.parameters())
    trained = sum(p.numel() for p in task.parameters() if p.requires_grad)
    dtype = autocast_dtype(config.engine.precision, device)
    return Plan(
        description=stream.description,
        epoch_samples=stream.size,
        samples=steps * config.data.pairs_per_step,
        steps=steps,
        patches=total,
        kept=kept,
        compute=_count(built, round(sum(kept) / 2), config.data.views),
        parameters=parameters,
        state_gib=_state_bytes(parameters, trained, engine, config.engine.zero_stage, world.size) / 2**30,
        engine=f"{engine} on {device.type}, {str(dtype or torch.float32).removeprefix('torch.')}, "
        f"{world.size} process{'es' if world.size > 1 else ''}",
        later=[_describe(phase) for phase in phases[1:]],
    )


def _count(built: BuiltModel, kept_patches: int, views: int) -> Compute | str:
    caption = min(_TYPICAL_CAPTION, built.context_length)
    try:
        flops = count_flops(built, kept_patches=kept_patches, text_length=caption)
        unmasked = count_flops(built, kept_patches=built.patches, text_length=caption)
    except ModelError as error:
        return f"not counted: {error}"
    image, text = (passes / 1e9 for passes in built.passes)
    return Compute(image * flops.image * views, text * flops.text, image * unmasked.image * views)


def _describe(phase: Phase) -> str:
    masker = phase.config.masker
    shown = "every patch" if masker.ratio.high == 0 else f"{masker.name}, {masker.ratio} of the patches hidden"
    size = phase.config.model.image_size
    return f"{phase.steps:,} steps with {shown}{f' at {size} px' if size else ''}, lr {phase.config.optim.lr:g}"


def _state_bytes(parameters: int, trained: int, engine: str, stage: int, size: int) -> float:
    """fp32: 4 bytes of weights; of those that are trained 4 of gradients and 8 of moments. ZeRO splits moments (1),
    gradients (2), weights (3).
    """
    stage = stage if engine == "deepspeed" else 0
    moments = 8 / (size if stage >= 1 else 1)
    gradients = 4 / (size if stage >= 2 else 1)
    weights = 4 / (size if stage >= 3 else 1)
    return trained * (moments + gradients) + parameters * weights
