"""Figures of the steps since the last log row."""

from __future__ import annotations

import resource
import sys
import time

import torch
from torch import Tensor

from pgsclip.training.task import StepReport


class Meter:
    """Collects on the device and reads it only when a row is written, so that steps do not wait for each other."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._first_bad = torch.full((), -1, device=device)
        self._clear()

    def add(self, step: int, loss: Tensor, report: StepReport, samples: int, waited: float) -> None:
        """One finished step: its number, loss, figures, pairs over all ranks, and seconds spent waiting for data."""
        bad = ~torch.isfinite(loss.detach()) & (self._first_bad < 0)
        self._first_bad = torch.where(bad, torch.full_like(self._first_bad, step), self._first_bad)
        self._loss = loss.detach()
        self._report = report
        self._kept += report.kept
        self._steps += 1
        self._samples += samples
        self._waited += waited

    def first_bad_step(self) -> int | None:
        """The first step whose loss was not finite; waits for the device."""
        step = int(self._first_bad.item())
        return None if step < 0 else step

    def row(self) -> dict[str, float]:
        """The figures of a log row; averages since the last one, loss and accuracy of the last step."""
        elapsed = time.perf_counter() - self._since
        row = {
            "loss": float(self._loss.item()),
            "acc1": float(self._report.acc1.item()),
            "temperature": float(self._report.temperature.item()),
            "samples_per_s": self._samples / elapsed,
            "data_wait": self._waited / elapsed,
            "kept": self._kept / self._steps,
            "memory_gib": memory_gib(self._device),
        }
        self._clear()
        return row

    def _clear(self) -> None:
        self._since = time.perf_counter()
        self._steps = self._samples = 0
        self._waited = self._kept = 0.0


def memory_gib(device: torch.device) -> float:
    """Largest memory of this process so far in GiB: on the GPU where there is one, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
