"""The guards of the production engine; that it computes the right thing is in `test_base.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pgsclip.config.schema import EngineConfig, OptimConfig
from pgsclip.distributed import World
from pgsclip.training.engines.deepspeed_engine import deepspeed_config

Found = Callable[[str], dict[str, Any]]


def config(stage: int = 1, dtype: torch.dtype | None = None, **optim: Any) -> dict[str, Any]:
    return deepspeed_config(EngineConfig(zero_stage=stage), OptimConfig(**optim), World(0, 4, 0), 32, dtype)


def test_nothing_was_compiled_for_any_trial(trial_folder: Path, found: Found) -> None:
    assert found("zero1-two")["deepspeed"]
    compiled = trial_folder / "compiled"
    assert not compiled.exists() or not list(compiled.rglob("*"))


@pytest.mark.parametrize("trial", ["zero0-alone", "zero2-two", "zero3-alone", "zero3-two"])
def test_torch_s_linear_is_left_as_it_is(trial: str, found: Found) -> None:
    assert found(trial)["linear is torch's"]


def test_weights_are_complete_although_every_rank_holds_a_part(found: Found) -> None:
    whole, split = found("torch-two")["before"], found("zero3-two")["before"]
    assert split.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(split[name], tensor), name


def test_batch_is_divided_over_the_ranks() -> None:
    found = config()
    assert found["train_batch_size"] == 32
    assert found["train_micro_batch_size_per_gpu"] == 8
    assert found["gradient_accumulation_steps"] == 1


def test_clipping_is_always_written() -> None:
    assert config()["gradient_clipping"] == 0.0
    assert config(clip_grad_norm=0.7)["gradient_clipping"] == 0.7


def test_precision_is_autocast_never_deepspeed_s_own() -> None:
    assert "torch_autocast" not in config()
    found = config(dtype=torch.bfloat16)
    assert found["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}
    assert not {"bf16", "fp16"} & found.keys()


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_stage_and_what_it_must_not_do(stage: int) -> None:
    found = config(stage=stage)
    assert found["zero_optimization"]["stage"] == stage
    assert found["zero_optimization"].get("memory_efficient_linear", stage == 3) is False  # its default is to patch
    assert found["zero_allow_untested_optimizer"] is True
    assert found["zero_force_ds_cpu_optimizer"] is False
