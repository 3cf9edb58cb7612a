"""What a step must compute, against what the device could: model FLOPs utilisation (arXiv 2204.02311, appendix B).

Counted are forward and backward passes of both towers at the patches and tokens that are really read, each caption at
its own length. What a masker's own model computes does not count, nor activations computed again, nor the first of the
two passes of an accumulated step: they are the price of a method, not work that the model needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from pgsclip.config.schema import RunConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel
from pgsclip.models.device_speed import matrix_rate
from pgsclip.models.flops import PairFlops, pair_flops
from pgsclip.models.layers import Passes

_SECONDS = 0.25
"""For measuring the rate of a CPU."""


@dataclass(frozen=True)
class Arithmetic:
    """FLOPs of a model, and how many of them one process could do in a second."""

    pair: PairFlops | None
    """None where the model could not be counted; the run then has no utilisation."""
    patches: int
    """Of an image, all of them."""
    views: int
    tokens: int | None
    """What a text masker leaves of a longer caption."""
    rate: float
    """FLOPs per second of this process, measured on a product of large matrices in the dtype of the run."""
    passes: Passes = field(default_factory=Passes)
    """Of each tower, fewer where parts of it are frozen."""
    finding: str | None = None
    """Why the model could not be counted."""

    def step(self, kept: float, lengths: Iterable[Tensor]) -> float | None:
        """FLOPs of forward and backward of a step; None where the model could not be counted.

        Args:
            kept: mean share of patches that the image tower saw.
            lengths: (B,) tokens of the captions on the CPU, of each part of the batch.
        """
        if self.pair is None:
            return None
        total = 0.0
        for part in lengths:
            read = part if self.tokens is None else part.clamp(max=self.tokens)
            total += self.passes.image * len(part) * self.views * self.pair.image.at(kept * self.patches)
            total += self.passes.text * self.pair.text.total(read)
        return total


def measure_arithmetic(
    config: RunConfig, built: BuiltModel, device: torch.device, dtype: torch.dtype | None
) -> Arithmetic:
    """Count a model that no engine has taken apart yet, and measure this process where that was not done before.

    The arithmetic is a convenience: a model that cannot be counted is a finding, and no error.

    Args:
        dtype: in which the run multiplies; None is float32.
    """
    rate = _rate(device, dtype or torch.float32)
    pair, finding = None, None
    try:
        pair = pair_flops(built)
    except ModelError as error:
        finding = f"No MFU and no FLOPs are told in this run: {error} Training is not touched by it."
    return Arithmetic(pair, built.patches, config.data.views, config.text.max_tokens, rate, built.passes, finding)


@cache
def _rate(device: torch.device, dtype: torch.dtype) -> float:
    rate = matrix_rate(device, dtype, seconds=_SECONDS)
    if device.type == "cuda":  # the largest memory of the run is to be its own
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    return rate
