"""The plain engine: one process or DDP, on CPU, CUDA or MPS. The numerical reference for the other one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pgsclip.config.schema import EngineConfig, OptimConfig
from pgsclip.errors import RunError
from pgsclip.training.distributed import World
from pgsclip.training.engines.base import autocast_dtype, restoring
from pgsclip.training.optimizer import build_optimizer
from pgsclip.training.task import StepReport, Task, View

_STATE = "torch-rank{rank:05d}.pt"


class TorchEngine:
    """AdamW on fp32 weights, autocast below, gradients averaged by DDP."""

    def __init__(
        self, task: Task, config: EngineConfig, optim: OptimConfig, world: World, device: torch.device
    ) -> None:
        self.task = task.to(device)
        self.device = device
        self._dtype = autocast_dtype(config.precision, device)
        self._clip = optim.clip_grad_norm
        self._world = world
        if config.compile:
            task.image_tower.compile()
            task.text_tower.compile()
        self._optimizer = build_optimizer(self.task, optim)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self._module: nn.Module = self.task
        if world.size > 1:
            self._module = DistributedDataParallel(
                self.task, device_ids=[device.index] if device.type == "cuda" else None, broadcast_buffers=False
            )

    def forward(self, images: Tensor, texts: Tensor, lengths: Tensor, view: View) -> tuple[Tensor, StepReport]:
        self._module.train()
        with self._autocast():
            loss, report = self._module(images, texts, lengths, view)
        return loss, report

    def backward(self, loss: Tensor) -> None:
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, lr: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        if self._clip is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.task.parameters(), self._clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def features(self, images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        self.task.eval()
        with self._autocast():
            image_features, text_features = self.task(images, texts)
        return image_features, text_features

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.task.model.state_dict().items()}

    def save(self, folder: Path) -> None:
        if not self._world.leads:
            return
        state = {
            "task": self.task.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        torch.save(state, folder / _STATE.format(rank=0))

    def load(self, folder: Path) -> None:
        path = folder / _STATE.format(rank=0)
        if not path.is_file():
            raise RunError(
                f"{folder} holds no state of the torch engine; it was written by another one. "
                f"Resume with the engine that the run started with, for example --engine deepspeed."
            )
        with restoring(folder):
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.task.load_state_dict(state["task"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state["scaler"])

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self._dtype or torch.bfloat16, enabled=self._dtype is not None)
