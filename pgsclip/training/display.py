"""What a person sees while a run goes on: one live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text

from pgsclip.config.phases import Phase
from pgsclip.config.schema import ModelConfig
from pgsclip.data.loading import Stream
from pgsclip.models.build import BuiltModel
from pgsclip.models.preprocessing import describe
from pgsclip.report.live_line import format_line
from pgsclip.training.request import Request
from pgsclip.training.saved.checkpoint import StoredCheckpoint
from pgsclip.training.saved.rank_state import RankState


class Display:
    """Shows rows of metrics; silent on ranks that do not lead."""

    def __init__(self, total: int, *, console: Console, silent: bool = False) -> None:
        self._total = total
        self._console = console
        self._silent = silent
        self._live: Live | None = None

    def __enter__(self) -> Display:
        if self._console.is_terminal and not self._silent:
            self._live = Live(Text("preparing the first batch …"), console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line that stays."""
        if not self._silent:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, row: Mapping[str, float | int | str | None], seconds_left: float) -> None:
        """The state of the run: replaces the live line, or is one more plain line."""
        if self._silent:
            return
        line = format_line(row, self._total, seconds_left)
        if self._live is not None:
            self._live.update(Text(line))
        else:
            self.say(line)


def change_since(request: Request, stored: StoredCheckpoint | None) -> str | None:
    """That the run is not the same any more."""
    if stored is None or not request.changed:
        return None
    return f"Changed since the last start of this run, and used from here on: {'; '.join(request.changed)}."


def introduction(
    request: Request,
    phases: list[Phase],
    phase: Phase,
    stream: Stream,
    engine: str,
    device: torch.device,
    start: RankState,
) -> str:
    """What this phase of the run does, in one line."""
    config = phase.config
    masker = config.masker
    shown = "every patch" if masker.ratio.high == 0 else f"{masker.name}, {masker.ratio} of the patches hidden"
    steps = f"goes on from step {start.step} of {phase.end}" if start.step > phase.first else f"{phase.steps} steps"
    place = f"phase {phase.number + 1} of {len(phases)}, " if len(phases) > 1 else ""
    return (
        f"{config.recipe or 'run'}: {place}{config.model.name} on {stream.description}; {shown}; {steps} of "
        f"{config.data.pairs_per_step} pairs; {engine} on {device.type}; run folder {request.path}"
    )


def beginning(config: ModelConfig, built: BuiltModel) -> list[str]:
    """What a phase begins with, in a line each: the weights, how images are made fit for them, and what is frozen."""
    lines = []
    if built.loaded is not None:
        weights = config.pretrained or config.name
        lines.append(f"Starts from {weights}: {built.loaded.sentence()}. Images: {describe(built.preprocess)}.")
    return [*lines, built.frozen.sentence] if built.frozen.sentence else lines
