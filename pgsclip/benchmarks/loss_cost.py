"""`pgsclip bench loss`: time and peak memory of the loss alone, in chunks and as open_clip computes it.

Each figure comes from a process of its own, as the peak of memory is known per process only; the two take turns.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import open_clip
import psutil
import torch
from open_clip.loss import SigLipLoss
from torch.nn import functional as F

from pgsclip.losses.contrastive import ClipLoss
from pgsclip.losses.contrastive import SigLipLoss as SigLipInChunks

_COPIES = 4.3
"""Copies of the logits that open_clip's loss and its gradient hold at their peak (measured)."""
_USABLE = 0.9
"""Share of the free memory that they may take."""


@dataclass(frozen=True)
class LossCost:
    """Cost of forward and backward of one loss on one batch; None where the matrix does not fit into memory."""

    loss: str
    batch: int
    seconds: float | None
    peak_mib: float | None
    """Peak of memory above what inputs and libraries take."""
    open_clip_seconds: float | None
    open_clip_peak_mib: float | None
    products: int
    """FLOPs of the logits and of their gradients at both factors: no exact way has fewer."""


def bench_loss(batches: list[int], *, width: int, logits_per_chunk: int, repeats: int) -> Iterator[LossCost]:
    """Yield costs as they are measured, for `clip` and `siglip` at each batch size.

    Args:
        width: numbers of a feature.
        logits_per_chunk: logits computed at once.
        repeats: processes for each figure; the median counts.
    """
    for loss in ("clip", "siglip"):
        for batch in batches:
            ours, theirs = [], []
            for _ in range(repeats):
                ours.append(_in_a_process(loss, batch, width, logits_per_chunk))
                theirs.append(_in_a_process(loss, batch, width, 0) if _fits(batch) else None)
            yield LossCost(loss, batch, *_medians(ours), *_medians(theirs), products=6 * batch * batch * width)


def _medians(found: Sequence[tuple[float, float] | None]) -> tuple[float | None, float | None]:
    there = [one for one in found if one is not None]
    if not there:
        return None, None
    return median(seconds for seconds, _ in there), median(peak for _, peak in there)


def _fits(batch: int) -> bool:
    """Return whether open_clip's copies of the float32 matrix fit into what is free now."""
    return _COPIES * 4 * batch**2 < _USABLE * psutil.virtual_memory().available


def _in_a_process(loss: str, batch: int, width: int, logits_per_chunk: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "pgsclip.benchmarks.loss_cost", loss, *map(str, (batch, width, logits_per_chunk))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def _measure(loss: str, batch: int, width: int, logits_per_chunk: int) -> tuple[float, float]:
    """Measure in this process: seconds, and MiB by which the peak rose. 0 logits are open_clip's own loss."""
    generator = torch.Generator().manual_seed(0)
    images, texts = (
        F.normalize(torch.randn(batch, width, generator=generator), dim=-1).requires_grad_() for _ in range(2)
    )
    scale, bias = torch.tensor([20.0], requires_grad=True), torch.tensor([-10.0], requires_grad=True)
    _run(loss, 64, images[:64], texts[:64], scale, bias)  # libraries load what they need
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    _run(loss, logits_per_chunk, images, texts, scale, bias)
    seconds = time.perf_counter() - began
    rise = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return seconds, rise / (2**20 if sys.platform == "darwin" else 2**10)


def _run(
    loss: str, logits_per_chunk: int, images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> None:
    if logits_per_chunk:
        kind = ClipLoss if loss == "clip" else SigLipInChunks
        found = kind(rank=0, world_size=1, logits_per_chunk=logits_per_chunk)(images, texts, scale, bias)
    elif loss == "clip":
        found = open_clip.ClipLoss()(images, texts, scale)
    else:
        found = SigLipLoss()(images, texts, scale, bias)
    found.backward()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    kind, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(_measure(kind, *map(int, numbers))))
