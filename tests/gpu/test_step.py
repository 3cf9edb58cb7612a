from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsclip.config.ratio import Ratio
from pgsclip.config.schema import EngineConfig, MaskerConfig, ModelConfig, OptimConfig, RunConfig
from pgsclip.distributed import World
from pgsclip.masking.similarity import cosine
from pgsclip.models.towers.patch_embedding import multiply_patches
from pgsclip.seeding import make_step_generator
from pgsclip.training.assemble import build_task
from pgsclip.training.engines.torch_engine import TorchEngine
from pgsclip.training.features import StepContext

BATCH = 8


@contextmanager
def waits() -> Iterator[list[str]]:
    """Where the CPU waited for the GPU."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [f"{one.filename}:{one.lineno}" for one in caught if "called a synchronizing" in str(one.message)]


def engine_of(masker: str, ratio: str, device: torch.device, **engine: Any) -> TorchEngine:
    config = RunConfig(
        model=ModelConfig(name="pgsclip-smoke"),
        masker=MaskerConfig(name=masker, ratio=Ratio.parse(ratio)),
        engine=EngineConfig(**engine),
        optim=OptimConfig(clip_grad_norm=1.0),
    )
    _, task = build_task(config, World())
    return TorchEngine(task, config.engine, config.optim, World(), device)


@pytest.fixture
def batch(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    config = RunConfig(model=ModelConfig(name="pgsclip-smoke"))
    built, _ = build_task(config, World())
    lengths = torch.arange(3, 3 + BATCH).clamp(max=built.context_length)
    texts = torch.randint(1, built.vocab_size - 2, (BATCH, built.context_length))
    texts[torch.arange(built.context_length) >= lengths[:, None]] = 0
    texts[torch.arange(BATCH), lengths - 1] = built.vocab_size - 1
    images = torch.randn(BATCH, 3, *built.image_tower.image_size)
    return images.to(device), texts.to(device), lengths


def step(engine: TorchEngine, batch: tuple[Tensor, Tensor, Tensor], number: int) -> Tensor:
    loss, _ = engine.forward(*batch, StepContext(0.5, make_step_generator(0, 0, number, engine.device)))
    engine.backward(loss)
    engine.step(1e-3)
    return loss.detach()


@pytest.mark.parametrize(
    ("masker", "ratio", "reads"), [("random", "0.5", 0), ("pgs", "0.5", 0), ("none", "0", 0), ("pgs", "0.3:0.5", 1)]
)
def test_a_step_waits_for_the_gpu_where_a_range_must_be_read_and_nowhere_else(
    masker: str, ratio: str, reads: int, device: torch.device, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    engine = engine_of(masker, ratio, device, precision="bf16")
    for number in range(2):
        step(engine, batch, number)
    with waits() as found:
        step(engine, batch, 2)
    assert len(found) == reads, found


@pytest.mark.filterwarnings("ignore")  # of torch about its own insides, while it compiles
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_losses_are_those_of_a_cpu(
    precision: str, compiled: bool, device: torch.device, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    """All patches are shown, as the generators of the two draw differently."""
    ours = engine_of("none", "0", device, precision=precision, compile=compiled)
    theirs = engine_of("none", "0", torch.device("cpu"), precision="fp32")
    on_cpu = (batch[0].cpu(), batch[1].cpu(), batch[2])
    found = torch.stack([step(ours, batch, number).cpu() for number in range(5)])
    expected = torch.stack([step(theirs, on_cpu, number) for number in range(5)])
    tolerance = 2e-3 if precision == "fp32" else 5e-2
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    assert expected[4] < expected[0] - 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_cosines_of_16_bit_numbers_are_exact(dtype: torch.dtype, device: torch.device) -> None:
    vectors = torch.randn(4, 196, 768, device=device).to(dtype)
    rows = torch.stack([torch.randperm(196, device=device)[:59] for _ in range(4)])
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1)
    expected = torch.stack([own[chosen] @ own.mT for own, chosen in zip(unit, rows, strict=True)])
    found = cosine(vectors, rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


def test_patches_are_embedded_as_a_convolution_does(device: torch.device) -> None:
    theirs = torch.nn.Conv2d(3, 64, 16, stride=16, bias=False).to(device)
    images = torch.randn(2, 3, 64, 80, device=device)
    expected = torch.nn.functional.conv2d(images.double(), theirs.weight.double(), stride=16)
    multiply_patches(theirs)
    torch.testing.assert_close(theirs(images).double(), expected, atol=5e-3, rtol=5e-3)
    with torch.autocast("cuda", torch.bfloat16):
        found = theirs(images)
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() / expected.norm() < 5e-3
