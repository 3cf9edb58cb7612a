"""The production engine: DeepSpeed ZeRO 0-3, on GPUs with NCCL and, the same code, on a CPU with gloo.

The only module that imports deepspeed. Its guards, each with a test, answer measured behaviour of deepspeed 0.19.8:
no C++ extension is compiled at start, the optimiser is our own AdamW, clipping is explicit, precision is autocast
(its own bf16 mode rounds the logit scale), and its checkpoints, which are pickles bound to a number of processes and a
stage, are not used: `zero_moments` gathers and spreads Adam's memory parameter by parameter.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from pgsclip.config.schema import EngineConfig, OptimConfig
from pgsclip.distributed import World
from pgsclip.errors import InstallationError
from pgsclip.models.plugin_states import States
from pgsclip.models.towers.compiled import compile_blocks
from pgsclip.process_group import join
from pgsclip.training.engines.base import autocast_dtype
from pgsclip.training.engines.zero_moments import gather, spread
from pgsclip.training.features import FeatureGradients, Features, StepContext, StepReport
from pgsclip.training.optimizer import build_optimizer, layer_shares, leave_out_unless_finite, set_learning_rate
from pgsclip.training.saved.optimizer_state import MOMENTS, OptimizerState
from pgsclip.training.task import Task


class DeepSpeedEngine:
    """ZeRO over all ranks; the configuration is derived from ours, never read from a file of its own."""

    def __init__(
        self, task: Task, config: EngineConfig, optim: OptimConfig, world: World, device: torch.device, batch: int
    ) -> None:
        join(world, device, always=True)
        deepspeed = _import_deepspeed(device)
        self.task = task.to(device)
        self.device = device
        self.stage = config.zero_stage
        self._world = world
        self._dtype = autocast_dtype(config.precision, device)
        self._zero = deepspeed.zero
        if self.stage == 3:
            self._declare_external_parameters()
        if config.compile:
            compile_blocks(task.blocks, device)
        self._adam = build_optimizer(task, optim, layer_shares(task.model, task.layers, optim.layer_decay))
        self._left_out = torch.zeros((), dtype=torch.bool, device=device)
        if self.stage == 0:  # the others look at the norm themselves
            self._adam.register_step_pre_hook(self._check_gradients)
        with _without_noise():
            self._engine, self._optimizer, _, _ = deepspeed.initialize(
                model=self.task,
                optimizer=self._adam,
                config=deepspeed_config(config, optim, world, batch, self._dtype),
                dist_init_required=False,
            )

    def forward(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext
    ) -> tuple[Tensor, StepReport]:
        self._engine.train()
        loss, report = self._engine(images, texts, lengths, context)
        return loss, report

    @torch.no_grad()
    def encode_no_grad(self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext) -> Features:
        self._engine.train()
        features: Features = self._engine(images, texts, lengths, context, features_only=True)
        return features

    def surrogate_loss(
        self, images: Tensor, texts: Tensor, lengths: Tensor, context: StepContext, gradients: FeatureGradients
    ) -> Tensor:
        scalar: Tensor = self._engine(images, texts, lengths, context, gradients=gradients)
        return scalar

    def backward(self, loss: Tensor) -> None:
        self._engine.backward(loss, scale_wrt_gas=False)

    def accumulating(self, *, last: bool) -> AbstractContextManager[None]:
        return nullcontext()  # backward adds up by itself, and step knows that it ends the accumulation

    def step(self, lr: float) -> Tensor:
        set_learning_rate(self._optimizer, lr)
        self._engine.step()
        if self.stage > 0:
            self._left_out = torch.tensor(not self._engine.was_step_applied(), device=self.device)
        # An fp16 gradient that overflows is how its scale is found, and no news.
        return self._left_out if self._dtype != torch.float16 else torch.zeros_like(self._left_out)

    @torch.no_grad()
    def encode(self, images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        self._engine.eval()
        image_features, text_features = self._engine(images, texts)
        return image_features, text_features

    def weights(self) -> dict[str, Tensor]:
        model = self.task.model
        complete = {}
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for name, tensor in model.state_dict().items():
            source = parameters.get(name, tensor)
            with self._whole([source]):
                if self._world.leads:
                    complete[name] = (
                        source.detach().float().cpu().clone() if source.is_floating_point() else source.cpu()
                    )
        return complete

    def observe(self, progress: float) -> None:
        watched = self.task.observed_parameters
        if watched is not None:
            with self._whole(watched):
                self.task.observe(progress)

    def states(self) -> States:
        with self._whole(list(self.task.auxiliary.parameters())):
            return {
                group: {name: {key: one.detach().clone() for key, one in state.items()} for name, state in held.items()}
                for group, held in self.task.states().items()
            }

    def optimizer_state(self) -> OptimizerState:
        moments: dict[str, dict[str, Tensor]] = {key: {} for key in MOMENTS}
        steps = max((int(state["step"]) for state in self._adam.state.values()), default=0)
        for name, parameter in self.task.named_trained_parameters():
            if parameter.requires_grad and steps:
                for key in MOMENTS:
                    whole = gather(self._optimizer, self._adam, self.stage, parameter, key)
                    if self._world.leads:
                        moments[key][name] = whole.cpu()
        return OptimizerState(moments, steps, self._scaler_state())

    def restore(self, state: OptimizerState) -> None:
        if state.steps:
            spread(self._optimizer, self._adam, self.stage, dict(self.task.named_trained_parameters()), state)
        scaler = self._scaler()
        if scaler is not None and state.scaler:
            scaler.load_state_dict(state.scaler)

    def _whole(self, tensors: list[Any]) -> AbstractContextManager[Any]:
        """Within it, parameters that ZeRO-3 spreads over processes are whole on each; to be read only."""
        if self.stage < 3 or not tensors:
            return nullcontext()
        gathered: AbstractContextManager[Any] = self._zero.GatheredParameters(tensors)
        return gathered

    def _check_gradients(self, *_: object) -> None:
        self._left_out = leave_out_unless_finite(self._adam, None)

    def _scaler(self) -> Any:
        """fp16's gradient scaler, which stage 0 keeps in the engine and the others in their optimiser."""
        found = getattr(self._engine, "torch_autocast_z0_gradscaler", None)
        return found or getattr(self._optimizer, "torch_autocast_gradscaler", None)

    def _scaler_state(self) -> dict[str, float]:
        scaler = self._scaler()
        return {} if scaler is None else dict(scaler.state_dict())

    def _declare_external_parameters(self) -> None:
        """ZeRO-3 gathers a module's own parameters when it is called; ours read some of their neighbours' as well."""
        for module in self.task.modules():
            for parameter in getattr(module, "external_parameters", list)():
                self._zero.register_external_parameter(module, parameter)


def deepspeed_config(
    config: EngineConfig, optim: OptimConfig, world: World, batch: int, dtype: torch.dtype | None
) -> dict[str, Any]:
    """DeepSpeed's dictionary. What it would choose by itself and we do not want is written out."""
    settings: dict[str, Any] = {
        "train_batch_size": batch,
        "train_micro_batch_size_per_gpu": batch // world.size,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,  # any number of backward passes before a step, which ends them
        "gradient_clipping": optim.clip_grad_norm or 0.0,  # left out, it would clip at 1.0
        "zero_optimization": {"stage": config.zero_stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # the one that compiles for minutes
        "steps_per_print": 10**9,
    }
    if config.zero_stage == 3:
        settings["zero_optimization"]["memory_efficient_linear"] = False  # it patches F.linear for good
    if dtype is not None:
        settings["torch_autocast"] = {"enabled": True, "dtype": str(dtype).removeprefix("torch.")}
    return settings


def _import_deepspeed(device: torch.device) -> Any:
    """Import without its banner, and without building extensions that a CPU run does not use.

    Raises:
        InstallationError: it cannot be imported here.
    """
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    try:
        import deepspeed
        import deepspeed.ops
    except ImportError as error:
        raise InstallationError(
            f"DeepSpeed cannot be imported: {error}. Train with --set engine.name=torch, or repair what "
            f"`python -c 'import deepspeed'` complains about."
        ) from None

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # It calls torch by names that torch is about to change; nobody who reads the log of a run can do anything about it.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
    if device.type == "cpu":
        deepspeed.ops.__compatible_ops__ = {}  # else init builds deepspeed_shm_comm with g++ for two minutes
    deepspeed.init_distributed(dist_backend="nccl" if device.type == "cuda" else "gloo", verbose=False)
    return deepspeed


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """DeepSpeed logs a page at every start; errors still come through."""
    logger = logging.getLogger("DeepSpeed")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
