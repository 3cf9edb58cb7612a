"""A run folder describes itself: config.yaml, environment.json, metrics.jsonl, faults.json, checkpoints/."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pgsclip.config.resolve import to_yaml
from pgsclip.config.schema import RunConfig
from pgsclip.errors import RunError
from pgsclip.files import is_temporary, write_atomically
from pgsclip.models.run_weights import CHECKPOINTS
from pgsclip.version import __version__

_PACKAGES = ("torch", "torchvision", "open_clip_torch", "timm", "webdataset", "deepspeed", "numpy")


class RunFolder:
    """The files of one run. Only the leading process writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / CHECKPOINTS
        self.faults = path / "faults.json"
        self._metrics = path / "metrics.jsonl"

    def refuse_taken(self) -> None:
        """
        Raises:
            RunError: the folder already holds something.
        """
        if self.path.exists() and not self._is_free():
            raise RunError(
                f"The run folder {self.path} already exists and is not overwritten. "
                f"Give another --out, go on with --resume, or delete it yourself."
            )

    def create(self, config: RunConfig) -> None:
        """Start a new run here.

        Raises:
            RunError: when the folder already holds something; nothing is touched.
        """
        self.refuse_taken()
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"The run folder {self.path} cannot be made: {error.strerror}. Give another --out."
            ) from None
        self.describe(config)

    def _is_free(self) -> bool:
        """Whether nothing is here, or no more than a run leaves that was killed before its config was written."""
        if not self.path.is_dir():
            return False
        names = {entry.name for entry in self.path.iterdir() if not is_temporary(entry)}
        return names <= {self.checkpoints.name} and not any(self.path.glob("*/*"))

    def describe(self, config: RunConfig) -> None:
        """Write the resolved config and the environment of this start."""
        write_atomically(self.path / "config.yaml", to_yaml(config))
        write_atomically(self.path / "environment.json", json.dumps(_environment(), indent=2) + "\n")

    def add_row(self, row: Mapping[str, float | int | str | None]) -> None:
        """Append one row to metrics.jsonl; the kernel has it when this returns, the disk after `flush_rows`."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def flush_rows(self) -> None:
        """Push the rows to the disk, for a checkpoint that is to be no newer than they are.

        Raises:
            RunError: the disk does not take them.
        """
        if not self._metrics.exists():
            return
        try:
            with self._metrics.open("a", encoding="utf-8") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"{self._metrics} cannot be written to the disk: {error.strerror}.") from None

    def has_results(self, step: int) -> bool:
        """Whether the evaluation after a step is in metrics.jsonl."""
        return any(row.get("step") == step and any(key.startswith("eval/") for key in row) for row, _ in self._rows())

    def save_offending_batches(self, rank: int, steps: Mapping[int, Sequence[str]]) -> None:
        """Write down which samples this rank saw in steps that went wrong: `nonfinite/step-…-rank-….json`."""
        for step, keys in steps.items():
            path = self.path / "nonfinite" / f"step-{step:08d}-rank-{rank:05d}.json"
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, json.dumps({"step": step, "rank": rank, "keys": list(keys)}, indent=1) + "\n")

    def forget_rows_after(self, step: int) -> None:
        """Drop the rows of steps that a resumed run will do again, and a last line cut short by a crash."""
        if self._metrics.exists():
            write_atomically(self._metrics, "".join(f"{line}\n" for row, line in self._rows() if row["step"] <= step))

    def _rows(self) -> list[tuple[dict[str, Any], str]]:
        """The rows of metrics.jsonl and the lines that hold them; what a crash cut short is no row."""
        found = []
        for line in self._metrics.read_text(encoding="utf-8").splitlines() if self._metrics.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                found.append((json.loads(line), line))
        return [(row, line) for row, line in found if isinstance(row, dict) and isinstance(row.get("step"), int)]


def default_path(config: RunConfig, *, resume: bool) -> Path:
    """`runs/<recipe>-<masker>-<ratio>`; numbered when taken, the newest one on resume."""
    masker = config.masker
    what = masker.name if masker.hides_nothing else f"{masker.name}-{masker.ratio}"
    name = f"{config.recipe or 'run'}-{what}".replace(":", "-").replace("/", "-")
    base = Path("runs") / name
    taken = base
    number = 1
    while (candidate := base if number == 1 else base.with_name(f"{name}-{number}")).exists():
        taken = candidate
        number += 1
    return taken if resume else candidate


def _environment() -> dict[str, object]:
    versions = {"pgsclip": __version__}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "command": shlex.join(["pgsclip", *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpus": devices,
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
        "packages": versions,
    }
