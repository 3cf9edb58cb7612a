"""What the training loop needs of whatever executes a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pgsclip.config.schema import EngineConfig, OptimConfig
from pgsclip.errors import PgsclipError, RunError
from pgsclip.training.distributed import World
from pgsclip.training.task import StepReport, Task, View


@runtime_checkable
class Engine(Protocol):
    """One task, one optimiser, any number of processes. All methods are called by all ranks alike."""

    task: Task
    device: torch.device

    def forward(self, images: Tensor, texts: Tensor, lengths: Tensor, view: View) -> tuple[Tensor, StepReport]:
        """Loss of this rank's share of the batch, and its figures."""

    def backward(self, loss: Tensor) -> None:
        """Gradients, averaged over ranks."""

    def step(self, lr: float) -> None:
        """Clip, update the weights at this learning rate, and clear the gradients."""

    def features(self, images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Normalised float32 features of unmasked inputs, without gradients."""

    def weights(self) -> dict[str, Tensor]:
        """The complete model, fp32, on the CPU, under open_clip's names; on rank 0 (others may get an empty dict)."""

    def save(self, folder: Path) -> None:
        """Everything beside the data position that `load` needs to go on exactly."""

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote, at the same number of ranks."""


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Whatever goes wrong while an engine reads its state becomes a sentence."""
    try:
        yield
    except PgsclipError:
        raise
    except Exception as error:  # torch and DeepSpeed meet a damaged file with whatever its bytes lead to
        reason = str(error).strip().split("\n")[0].split(". ")[0] or type(error).__name__
        raise RunError(
            f"The state in {folder} cannot be restored: it is damaged, belongs to another model, or holds more than "
            f"tensors, which is not unpickled for safety ({reason}). Delete that folder to resume from the checkpoint "
            f"before it, or start again in another --out."
        ) from None


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype of autocast, None for plain fp32. `auto` is bf16 on GPUs that compute in it."""
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def pick_device(wanted: str, world: World) -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU; with several processes each takes its own GPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted == "cuda":
        device = torch.device("cuda", world.local_rank)
        torch.cuda.set_device(device)
        return device
    return torch.device(wanted)


def pick_engine(config: EngineConfig, world: World, device: torch.device) -> str:
    """`auto`: DeepSpeed on a GPU or with several processes, torch otherwise."""
    if config.name != "auto":
        return config.name
    return "deepspeed" if device.type == "cuda" or world.size > 1 else "torch"


def build_engine(
    task: Task, name: str, config: EngineConfig, optim: OptimConfig, world: World, device: torch.device, batch: int
) -> Engine:
    """The engine called `name`; deepspeed is imported only when it is the one.

    Args:
        batch: pairs per step over all processes.
    """
    if name == "deepspeed":
        from pgsclip.training.engines.deepspeed_engine import DeepSpeedEngine

        return DeepSpeedEngine(task, config, optim, world, device, batch)
    from pgsclip.training.engines.torch_engine import TorchEngine

    return TorchEngine(task, config, optim, world, device)
