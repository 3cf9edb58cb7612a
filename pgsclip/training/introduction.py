"""The words with which a run begins."""

from __future__ import annotations

import torch

from pgsclip.data.loading import Stream
from pgsclip.training.checkpoint import Progress, Stored
from pgsclip.training.configure import Request
from pgsclip.training.phases import Phase


def change_since(request: Request, stored: Stored | None) -> str | None:
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
    start: Progress,
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
