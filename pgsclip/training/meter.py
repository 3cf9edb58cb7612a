"""Figures of the steps since the last log row."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from pgsclip.training.features import StepReport
from pgsclip.training.planning.memory import memory_gib


class Meter:
    """Collects on the device and reads it only when asked, so that steps do not wait for each other."""

    _flops: float | None
    _waited: float

    def __init__(self, device: torch.device, rate: float) -> None:
        """`rate`: FLOPs per second that this process could do."""
        self._device = device
        self._rate = rate
        self._not_looked_at: list[tuple[int, Tensor, Sequence[str]]] = []
        self._clear()

    def add(
        self, step: int, loss: Tensor, report: StepReport, *, left_out: Tensor, keys: Sequence[str], samples: int,
        flops: float | None, waited: float,
    ) -> None:  # fmt: skip
        """One finished step.

        Args:
            step: its number, from 1.
            left_out: () bool: the update was not made, as the gradient was not finite.
            keys: names of this rank's samples.
            samples: pairs over all ranks.
            flops: what the model had to compute on this rank; None where that is not known.
            waited: seconds spent waiting for data.
        """
        self._not_looked_at.append((step, left_out | ~torch.isfinite(loss.detach()), keys))
        self._loss = loss.detach()
        self._report = report
        self._samples += samples
        self._flops = None if flops is None or self._flops is None else self._flops + flops
        self._waited += waited

    def take_nonfinite(self) -> tuple[dict[int, Sequence[str]], int]:
        """Steps since the last call whose loss or gradient was not finite, with their samples; and how many there were.

        Waits for the device.
        """
        taken, self._not_looked_at = self._not_looked_at, []
        flags = torch.stack([bad for _, bad, _ in taken]).tolist() if taken else []
        return {step: keys for (step, _, keys), bad in zip(taken, flags, strict=True) if bad}, len(taken)

    def row(self) -> dict[str, float]:
        """The figures of a log row: what the clock tells since the last one, all else of the last step.

        So a run that was broken off between two rows writes the second one as if it had not been. `mfu` is this
        rank's: its FLOPs over what it could have done; absent where they are not known.
        """
        elapsed = time.perf_counter() - self._since
        row = {
            "loss": float(self._loss.item()),
            "acc1": float(self._report.acc1.item()),
            "logit_scale": float(self._report.logit_scale.item()),
            "image_similarity": float(self._report.image_similarity.item()),
            "samples_per_s": self._samples / elapsed,
            **({} if self._flops is None else {"mfu": self._flops / elapsed / self._rate}),
            "data_wait_share": self._waited / elapsed,
            "patches_kept": self._report.patches_kept,
            "memory_gib": memory_gib(self._device),
            **{f"loss/{name}": float(term.item()) for name, term in self._report.terms.items()},
        }
        self._clear()
        return row

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done within it, such as an evaluation, is no part of the steps and takes none of their time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._since += time.perf_counter() - began

    def _clear(self) -> None:
        self._since = time.perf_counter()
        self._samples = 0
        self._flops = 0.0
        self._waited = 0.0
