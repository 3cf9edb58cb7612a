"""The plain engine: one process or DDP, on CPU, CUDA or MPS. The numerical reference for the other one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pgsclip.config.schema import EngineConfig, OptimConfig
from pgsclip.distributed import World
from pgsclip.models.plugin_states import States
from pgsclip.models.towers.compiled import compile_blocks
from pgsclip.training.engines.base import autocast_dtype
from pgsclip.training.features import FeatureGradients, Features, StepContext, StepReport
from pgsclip.training.optimizer import build_optimizer, layer_shares, leave_out_unless_finite, set_learning_rate
from pgsclip.training.saved.optimizer_state import MOMENTS, OptimizerState
from pgsclip.training.task import Task


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
            compile_blocks(task.blocks, device)
        self._optimizer = build_optimizer(task, optim, layer_shares(task.model, task.layers, optim.layer_decay))
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype == torch.float16)
        self._module: nn.Module = self.task
        if world.size > 1:
            with warnings.catch_warnings():  # its successor, of torch 2.14, does not exist in the versions before
                warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
                self._module = DistributedDataParallel(
                    self.task, device_ids=[device.index] if device.type == "cuda" else None, broadcast_buffers=False
                )

    def forward(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext
    ) -> tuple[Tensor, StepReport]:
        self._module.train()
        with self._autocast():
            loss, report = self._module(images, texts, lengths, context)
        return loss, report

    @torch.no_grad()
    def encode_no_grad(self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext) -> Features:
        self.task.train()
        with self._autocast():
            features: Features = self.task(images, texts, lengths, context, features_only=True)
        return features

    def surrogate_loss(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext, gradients: FeatureGradients
    ) -> Tensor:
        with self._autocast():
            scalar: Tensor = self._module(images, texts, lengths, context, gradients=gradients)
        return scalar

    def backward(self, loss: Tensor) -> None:
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    @contextmanager
    def accumulating(self, *, last: bool) -> Iterator[None]:
        if last or not isinstance(self._module, DistributedDataParallel):
            yield
        else:
            with self._module.no_sync():
                yield

    def step(self, lr: float) -> Tensor:
        set_learning_rate(self._optimizer, lr)
        self._scaler.unscale_(self._optimizer)
        left_out = leave_out_unless_finite(self._optimizer, self._clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        # An fp16 gradient that overflows is how its scale is found, and no news.
        return left_out if self._dtype != torch.float16 else torch.zeros_like(left_out)

    @torch.no_grad()
    def encode(self, images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        self.task.eval()
        with self._autocast():
            image_features, text_features = self.task(images, texts)
        return image_features, text_features

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.task.model.state_dict().items()}

    def observe(self, progress: float) -> None:
        self.task.observe(progress)

    def states(self) -> States:
        return self.task.states()

    def optimizer_state(self) -> OptimizerState:
        named = [
            (name, self._optimizer.state[p]) for name, p in self.task.named_trained_parameters() if p.requires_grad
        ]
        steps = max((int(state["step"]) for _, state in named if state), default=0)
        moments = {key: {name: state[key].cpu() for name, state in named if state} for key in MOMENTS}
        return OptimizerState(moments, steps, self._scaler.state_dict())

    def restore(self, state: OptimizerState) -> None:
        restore_adam(self._optimizer, self.task.named_trained_parameters(), state)
        self._scaler.load_state_dict(state.scaler)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self._dtype or torch.bfloat16, enabled=self._dtype is not None)


def restore_adam(
    optimizer: torch.optim.Optimizer, trained: Iterable[tuple[str, nn.Parameter]], state: OptimizerState
) -> None:
    """Give an optimiser over whole parameters its memory back; a parameter without one starts from zero."""
    if state.steps == 0:
        return
    for name, parameter in trained:
        if parameter.requires_grad:
            stored = [state.moments[key].get(name) for key in MOMENTS]
            memory = {
                key: torch.zeros_like(parameter) if one is None else one.to(parameter, copy=True)
                for key, one in zip(MOMENTS, stored, strict=True)
            }
            steps = torch.tensor(float(state.steps), device=parameter.device)
            optimizer.state[parameter] = {"step": steps, **memory}
