from __future__ import annotations

import torch

from pgsclip.config.resolve import resolve
from pgsclip.data.batch import Batch, Position
from pgsclip.distributed import World
from pgsclip.training.assemble import build_engine, build_task
from pgsclip.training.step import Stepper


def pairs(count: int) -> Batch:
    chance = torch.Generator().manual_seed(0)
    texts = torch.zeros(count, 32, dtype=torch.long)
    texts[:, :3] = torch.tensor([49406, 320, 49407])
    images = torch.rand(count, 3, 64, 64, generator=chance)
    return Batch(images, texts, torch.full((count,), 3), ["key"] * count, Position(0, 0, count))


def loss_of(number: int, parts: int) -> float:
    config = resolve("smoke", {}, ["engine.device=cpu", "masker.name=random"])
    built, task = build_task(config, World())
    engine = build_engine(task, "torch", config.engine, config.optim, World(), torch.device("cpu"), 8)
    before = {name: one.detach().clone() for name, one in built.model.named_parameters()}
    stepper = Stepper(engine, config.seed, 0, total=10)
    loss, report, left_out = stepper.step(number, [pairs(8 // parts)] * parts, lr=0.01)
    assert report.patches_kept == 0.5
    assert not left_out
    assert any(not torch.equal(before[name], one) for name, one in built.model.named_parameters())
    return float(loss)


def test_a_step_depends_on_its_number_and_parts_have_masks_of_their_own() -> None:
    assert loss_of(3, 1) == loss_of(3, 1) != loss_of(4, 1)
    # The same four pairs twice: with the same masks both halves would look alike, and no pair could win.
    assert loss_of(3, 2) != loss_of(4, 2)
