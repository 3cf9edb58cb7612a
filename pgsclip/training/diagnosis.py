"""What the figures of a run say about its health, as a sentence with the likely cause, each said once per run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from pgsclip.config.phases import Phase

_WATCHED = 20
"""Log rows that a judgement looks back on."""


class Diagnosis:
    """Looks at every log row; a finding is a sentence for the log."""

    def __init__(self, *, contrast: int | None, largest_scale: float, warmup_steps: int) -> None:
        """
        Args:
            contrast: pairs that each pair is told apart from, so that guessing costs ln(contrast); None where the loss
                has no such level.
            largest_scale: the cap of the logit scale, `loss.max_scale`.
            warmup_steps: judgements about learning wait for these and as many again.
        """
        self._guess = None if contrast is None else math.log(contrast)
        self._cap = largest_scale
        self._patience = 2 * warmup_steps
        self._losses: list[float] = []
        self._waits: list[float] = []
        self._said: set[str] = set()

    def inspect(self, row: Mapping[str, float | int]) -> list[str]:
        """New findings in this row."""
        found = {
            "spike": self._spike(row),
            "collapsed": self._collapsed(row),
            "stuck": self._stuck(row),
            "capped": self._capped(row),
            "starved": self._starved(row),
        }
        if found["collapsed"]:
            found["stuck"] = None  # the cause explains the effect
        self._losses = [*self._losses, row["loss"]][-_WATCHED:]
        self._waits = [*self._waits, row["data_wait_share"]][-_WATCHED:]
        if found["spike"] is None:
            self._said.discard("spike")  # each spike is news
        new = {name: sentence for name, sentence in found.items() if sentence and name not in self._said}
        self._said |= new.keys()
        return list(new.values())

    def _spike(self, row: Mapping[str, float | int]) -> str | None:
        if len(self._losses) < _WATCHED // 2:
            return None
        usual = median(self._losses)
        spread = median(abs(loss - usual) for loss in self._losses)
        if row["loss"] <= usual + max(8 * spread, 1.0):
            return None
        return (
            f"The loss jumped from about {usual:.2f} to {row['loss']:.2f} at step {row['step']:.0f}. Likely a bad "
            f"stretch of data or too large a step: if it does not come back, resume with a lower optim.lr or "
            f"optim.clip_grad_norm=1."
        )

    def _collapsed(self, row: Mapping[str, float | int]) -> str | None:
        if row["image_similarity"] < 0.98 or row["step"] <= self._patience:
            return None
        return (
            f"All images of a batch have nearly the same features (mean cosine {row['image_similarity']:.3f}): the "
            f"encoder has collapsed. Likely the learning rate (now {row['lr']:g}) is too high or the warm-up too short."
        )

    def _stuck(self, row: Mapping[str, float | int]) -> str | None:
        enough = len(self._losses) >= _WATCHED and row["step"] > self._patience
        if self._guess is None or not enough or min(*self._losses, row["loss"]) < 0.98 * self._guess:
            return None
        return (
            f"The loss stays at ln(batch) = {self._guess:.2f}, what guessing costs: nothing is learned. Likely "
            f"captions and images do not belong together, or the learning rate (now {row['lr']:g}) does not fit."
        )

    def _capped(self, row: Mapping[str, float | int]) -> str | None:
        if row["logit_scale"] < 0.999 * self._cap:
            return None
        return (
            f"The logit scale is at its cap {self._cap:g}. That is usual late in long runs; early on, it says that the "
            f"batch is too easy or holds many duplicates."
        )

    def _starved(self, row: Mapping[str, float | int]) -> str | None:
        if len(self._waits) < _WATCHED // 2 or median([*self._waits, row["data_wait_share"]]) < 0.3:
            return None
        return (
            f"{median(self._waits):.0%} of the time is spent waiting for data. Raise data.workers, use smaller images "
            f"in the shards, or a faster disk."
        )


def plan_diagnosis(phase: Phase) -> Diagnosis:
    """Read from the config of a phase what its figures are held against."""
    config = phase.config
    has_level = config.loss.name == "clip" and not config.loss.auxiliary  # others do not start at ln(batch)
    return Diagnosis(
        contrast=config.data.pairs_per_step if has_level else None,
        largest_scale=config.loss.max_scale,
        warmup_steps=phase.first + config.optim.warmup_steps,
    )
