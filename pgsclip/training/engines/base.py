"""What the training loop needs of whatever executes a step."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pgsclip.config.schema import EngineConfig
from pgsclip.distributed import World
from pgsclip.models.plugin_states import States
from pgsclip.training.features import FeatureGradients, Features, StepContext, StepReport
from pgsclip.training.saved.optimizer_state import OptimizerState
from pgsclip.training.task import Task


@runtime_checkable
class Engine(Protocol):
    """One task, one optimiser, any number of processes. All methods are called by all ranks alike."""

    task: Task
    device: torch.device

    def forward(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext
    ) -> tuple[Tensor, StepReport]:
        """Return the loss of this rank's share of the batch, and its figures."""

    def encode_no_grad(self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext) -> Features:
        """Return the features of a training step without gradients: the first pass of an accumulated step."""

    def surrogate_loss(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext, gradients: FeatureGradients
    ) -> Tensor:
        """Return a scalar for `backward` that hands gradients at the features on to the weights: the second pass."""

    def backward(self, loss: Tensor) -> None:
        """Gradients, averaged over ranks, added to those that are there."""

    def accumulating(self, *, last: bool) -> AbstractContextManager[None]:
        """Around forward and backward of one part of a step; ranks need to exchange gradients in the last one only."""

    def step(self, lr: float) -> Tensor:
        """Clip, update the weights at this learning rate, and clear the gradients.

        Returns:
            () bool on the device: whether the update was left out because the gradient was not finite.
        """

    def encode(self, images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Return normalised float32 features of unmasked inputs, without gradients."""

    def weights(self) -> dict[str, Tensor]:
        """The complete model, fp32, on the CPU, under open_clip's names; on rank 0 (others may get an empty dict)."""

    def observe(self, progress: float) -> None:
        """After a step: maskers and losses that follow the weights look at them, with all of them whole."""

    def states(self) -> States:
        """What plugins keep beside the weights, whole; on rank 0 (others may get pieces)."""

    def optimizer_state(self) -> OptimizerState:
        """The complete state; its moments on rank 0, others may have none."""

    def restore(self, state: OptimizerState) -> None:
        """Take over what any engine at any number of ranks wrote; the weights are in the task when it is built."""


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype of autocast, None for plain fp32. `auto` is bf16 on GPUs that compute in it."""
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def device_kind(wanted: str) -> str:
    """`auto` takes CUDA, then MPS, then the CPU. Nothing is opened on it, which on a GPU takes memory."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def pick_device(wanted: str, world: World) -> torch.device:
    """The device of that kind; with several processes each takes its own GPU."""
    kind = device_kind(wanted)
    if kind == "cuda":
        device = torch.device("cuda", world.local_rank)
        torch.cuda.set_device(device)
        return device
    return torch.device(kind)


def pick_engine(config: EngineConfig, world: World, device: torch.device) -> str:
    """`auto`: DeepSpeed on a GPU or with several processes, torch otherwise."""
    if config.name != "auto":
        return config.name
    return "deepspeed" if device.type == "cuda" or world.size > 1 else "torch"
