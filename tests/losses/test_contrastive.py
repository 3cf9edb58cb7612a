"""The losses against float64 by hand, in one process and in two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pgsclip.losses.contrastive import ClipLoss, ContrastiveLoss, SigLipLoss, acc1

LOSSES: dict[str, type[ContrastiveLoss]] = {"clip": ClipLoss, "siglip": SigLipLoss}
BATCH, WIDTH = 6, 8


def inputs(seed: int, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, WIDTH, generator=generator), torch.randn(batch, WIDTH, generator=generator)


def clip_by_hand(images: Tensor, texts: Tensor, scale: float) -> float:
    """Mean over images and over texts of -log softmax of the own partner (arXiv 2103.00020, figure 3)."""
    cosines = images.double() @ texts.double().mT * scale
    total = 0.0
    for i in range(len(cosines)):
        total -= (cosines[i, i].exp() / cosines[i].exp().sum()).log().item()
        total -= (cosines[i, i].exp() / cosines[:, i].exp().sum()).log().item()
    return total / (2 * len(cosines))


def siglip_by_hand(images: Tensor, texts: Tensor, scale: float, bias: float) -> float:
    """Sum over pairs of -log sigmoid(z (t x·y + b)), over the batch size (arXiv 2303.15343, equation 1)."""
    total = 0.0
    for i, image in enumerate(images.double()):
        for j, text in enumerate(texts.double()):
            sign = 1.0 if i == j else -1.0
            total -= torch.sigmoid(sign * (scale * image @ text + bias)).log().item()
    return total / len(images)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), batch=st.integers(1, 7), scale=st.floats(1, 30), bias=st.floats(-10, 3))
def test_values_equal_the_formulas_of_the_papers(seed: int, batch: int, scale: float, bias: float) -> None:
    images, texts = (F.normalize(part, dim=-1) for part in inputs(seed, batch))
    factor, offset = torch.tensor([scale]), torch.tensor([bias])
    clip = ClipLoss(rank=0, world_size=1, logits_per_chunk=2**24)(images, texts, factor, None)
    assert clip.shape == ()
    assert clip.item() == pytest.approx(clip_by_hand(images, texts, scale), abs=1e-5, rel=1e-5)
    siglip = SigLipLoss(rank=0, world_size=1, logits_per_chunk=2**24)(images, texts, factor, offset)
    assert siglip.shape == ()
    assert siglip.item() == pytest.approx(siglip_by_hand(images, texts, scale, bias), abs=1e-5, rel=1e-5)


def test_only_siglip_wants_a_bias_and_clip_ignores_one() -> None:
    assert (ClipLoss.needs_bias, SigLipLoss.needs_bias) == (False, True)
    images, texts = inputs(0)
    clip = ClipLoss(rank=0, world_size=1, logits_per_chunk=2**24)
    scale = torch.tensor([2.0])
    assert torch.equal(clip(images, texts, scale, None), clip(images, texts, scale, torch.tensor([5.0])))


@pytest.mark.parametrize("name", LOSSES)
def test_inside_autocast_the_loss_is_still_float32(name: str) -> None:
    images, texts = (F.normalize(part, dim=-1) for part in inputs(0))
    loss = LOSSES[name](rank=0, world_size=1, logits_per_chunk=2**24)
    scale, bias = torch.tensor([100.0]), torch.tensor([-10.0])
    plain = loss(images, texts, scale, bias)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(images, texts, scale, bias)
    assert torch.equal(inside, plain)


def test_acc1_is_the_share_of_own_captions_that_are_nearest() -> None:
    images = torch.eye(4)
    assert acc1(images, images).item() == 1.0
    assert acc1(images, images[[1, 0, 2, 3]]).item() == 0.5
    assert not acc1(images.clone().requires_grad_(), images).requires_grad


def gradients(name: str, images: Tensor, texts: Tensor, rank: int, world: int) -> dict[str, Tensor]:
    """Of a small model: two projections, temperature and bias; the batch is the rank's own rows."""
    width = torch.nn.Parameter(torch.linspace(-1, 1, WIDTH * WIDTH).reshape(WIDTH, WIDTH))
    other = torch.nn.Parameter(torch.linspace(1, -2, WIDTH * WIDTH).reshape(WIDTH, WIDTH))
    scale, bias = torch.nn.Parameter(torch.tensor([2.0])), torch.nn.Parameter(torch.tensor([-3.0]))
    loss = LOSSES[name](rank=rank, world_size=world, logits_per_chunk=2**24)
    value = loss(F.normalize(images @ width, dim=-1), F.normalize(texts @ other, dim=-1), scale.exp(), bias)
    value.backward()
    found = {"image": width, "text": other, "scale": scale, "bias": bias}
    return {"loss": value.detach(), **{key: p.grad for key, p in found.items() if p.grad is not None}}


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """By loss, what two gloo processes with half the batch each find, averaged over them as DDP does."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", __file__, str(folder)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    ranks = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return {name: {key: (ranks[0][name][key] + ranks[1][name][key]) / 2 for key in ranks[0][name]} for name in LOSSES}


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_have_the_gradient_of_one_with_the_joined_batch(
    name: str, averaged: dict[str, dict[str, Tensor]]
) -> None:
    alone = gradients(name, *inputs(4), rank=0, world=1)
    assert alone.keys() == averaged[name].keys()
    assert alone["image"].abs().max() > 0.01
    torch.testing.assert_close(averaged[name], alone, atol=1e-5, rtol=1e-5)


def main(folder: Path) -> None:
    """Fork two ranks after one import."""
    first = os.fork()
    rank = 0 if first else 1
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    mine = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    images, texts = inputs(4)
    found = {name: gradients(name, images[mine], texts[mine], rank, 2) for name in LOSSES}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()
    if rank == 1:
        os._exit(0)
    _, status = os.waitpid(first, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
