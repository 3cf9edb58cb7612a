"""What a few measured steps say of a whole run: memory, images per second, time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pgsclip.config.phases import Phase
from pgsclip.report.live_line import format_clock
from pgsclip.training.planning.trial_steps import Probed


@dataclass(frozen=True)
class Forecast:
    """Of one phase."""

    probed: Probed
    steps: int
    """Of the phase."""

    @property
    def data_seconds(self) -> float:
        """Seconds in which the loader processes together make the pairs of a step; 0 where the step itself reads."""
        side_by_side = min(self.probed.workers, os.cpu_count() or 1)
        return self.probed.reader_seconds / side_by_side if side_by_side else 0.0

    @property
    def seconds(self) -> float:
        """Of a step in the long run, when batches that were ready at the start are used up."""
        return max(self.probed.seconds + self.probed.waited, self.data_seconds)

    @property
    def images_per_second(self) -> float:
        """As `samples_per_s` of `metrics.jsonl`."""
        return self.probed.pairs / self.seconds

    @property
    def whole(self) -> float:
        """Seconds of the phase, without evaluations and checkpoints."""
        return self.steps * self.seconds + self.probed.late

    def rate(self) -> str:
        """Images per second, and what limits them."""
        pairs, alone = self.probed.pairs, self.probed.seconds
        reads = self.probed.workers > 0
        step = f"steps alone {_figure(pairs / alone)}"
        if not reads:
            by = f"{step}; they read their data themselves, {self.probed.waited / self.seconds:.0%} of the time"
        else:
            limit = "data" if self.data_seconds > alone else "steps"
            loaders = f"{self.probed.workers} loader process{'es' if self.probed.workers > 1 else ''}"
            by = f"{step}, {loaders} {_figure(pairs / self.data_seconds)}: the {limit} set the pace"
        return f"{_figure(self.images_per_second)} images/s ({by})"


def forecast_lines(forecasts: Sequence[Forecast], phases: Sequence[Phase]) -> list[str]:
    """A plan's lines of what was measured, for all phases of a run."""
    first, total = forecasts[0], format_clock(sum(one.whole for one in forecasts))
    each = ", of each phase" if len(forecasts) > 1 else ""
    lines = [
        f"measured on {first.probed.steps} steps after {first.probed.warm} to warm up{each}, "
        f"in processes of their own:",
        f"  compute  {_compute(first.probed)}, at {first.probed.kept:.0%} of the patches and the captions as they are",
        f"  memory   {max(one.probed.memory_gib for one in forecasts):.2f} GiB at the peak of a step, libraries "
        f"included",
        f"  speed    {first.rate()}",
    ]
    lines += [
        f"  then     {one.rate()} in phase {phase.number + 1}, {_compute(one.probed)}"
        for one, phase in zip(forecasts[1:], phases[1:], strict=True)
    ]
    seen = sum(phase.steps * one.probed.pairs for one, phase in zip(forecasts, phases, strict=True))
    return [*lines, f"  time     {total} for {seen:,} pairs; evaluations and checkpoints come on top"]


def _compute(probed: Probed) -> str:
    return "FLOPs not counted" if probed.gflops is None else f"{probed.gflops:.3g} GFLOPs per pair"


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"
