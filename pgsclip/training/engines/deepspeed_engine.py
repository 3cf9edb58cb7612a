"""The production engine: DeepSpeed ZeRO 0-3, on GPUs with NCCL and, the same code, on a CPU with gloo.

The only module that imports deepspeed. Its guards, each with a test, answer measured behaviour of deepspeed 0.19.8:
no C++ extension is compiled at start, the optimiser is our own AdamW, clipping is explicit, precision is autocast
(its own bf16 mode rounds the temperature), and loading a checkpoint unpickles nothing beyond its own four classes.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pgsclip.config.schema import EngineConfig, OptimConfig
from pgsclip.errors import RunError
from pgsclip.training.distributed import World, join
from pgsclip.training.engines.base import autocast_dtype, restoring
from pgsclip.training.optimizer import build_optimizer
from pgsclip.training.task import StepReport, Task, View

_TAG = "deepspeed"
_STAGE = "zero-stage"


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
            self._declare_borrowed_parameters()
        with _without_noise():
            self._engine, self._optimizer, _, _ = deepspeed.initialize(
                model=self.task,
                optimizer=build_optimizer(self.task, optim),
                config=deepspeed_config(config, optim, world, batch, self._dtype),
                dist_init_required=False,
            )

    def forward(self, images: Tensor, texts: Tensor, lengths: Tensor, view: View) -> tuple[Tensor, StepReport]:
        self._engine.train()
        loss, report = self._engine(images, texts, lengths, view)
        return loss, report

    def backward(self, loss: Tensor) -> None:
        self._engine.backward(loss)

    def step(self, lr: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._engine.step()

    @torch.no_grad()
    def features(self, images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        self._engine.eval()
        image_features, text_features = self._engine(images, texts)
        return image_features, text_features

    def weights(self) -> dict[str, Tensor]:
        model = self.task.model
        complete = {}
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for name, tensor in model.state_dict().items():
            source = parameters.get(name, tensor)
            gather = self._zero.GatheredParameters([source]) if self.stage == 3 else contextlib.nullcontext()
            with gather:
                if self._world.leads:
                    complete[name] = (
                        source.detach().float().cpu().clone() if source.is_floating_point() else source.cpu()
                    )
        return complete

    def save(self, folder: Path) -> None:
        with _without_noise():
            self._engine.save_checkpoint(str(folder), tag=_TAG, save_latest=False)
        if self._world.leads:
            (folder / _TAG / _STAGE).write_text(str(self.stage))

    def load(self, folder: Path) -> None:
        if not (folder / _TAG).is_dir():
            raise RunError(
                f"{folder} holds no state of the deepspeed engine; it was written by another one. "
                f"Resume with the engine that the run started with, for example --engine torch."
            )
        with restoring(folder):
            stage = (folder / _TAG / _STAGE).read_text()
            if stage != str(self.stage):
                raise RunError(
                    f"The state in {folder} was written with engine.zero_stage {stage} and this run has {self.stage}; "
                    f"resume with --set engine.zero_stage={stage}."
                )
            with _without_noise(), _only_known_classes():
                loaded, _ = self._engine.load_checkpoint(str(folder), tag=_TAG)
            if loaded is None:
                raise FileNotFoundError("files of it are missing")

    def _declare_borrowed_parameters(self) -> None:
        """ZeRO-3 gathers a module's own parameters when it is called; ours read some of their neighbours' as well."""
        for module in self.task.modules():
            for parameter in getattr(module, "borrowed_parameters", list)():
                self._zero.register_external_parameter(module, parameter)


def deepspeed_config(
    config: EngineConfig, optim: OptimConfig, world: World, batch: int, dtype: torch.dtype | None
) -> dict[str, Any]:
    """DeepSpeed's dictionary. What it would choose by itself and we do not want is written out."""
    settings: dict[str, Any] = {
        "train_batch_size": batch,
        "train_micro_batch_size_per_gpu": batch // world.size,
        "gradient_accumulation_steps": 1,
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
    """Import without its banner, and without building extensions that a CPU run does not use."""
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    import deepspeed
    import deepspeed.ops

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
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


@contextlib.contextmanager
def _only_known_classes() -> Iterator[None]:
    """DeepSpeed loads with `weights_only=False`; this makes torch refuse any class but the ones it writes itself."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        with torch.serialization.safe_globals([LossScaler, DynamicLossScaler, ZeroStageEnum, fragment_address]):
            yield
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before
