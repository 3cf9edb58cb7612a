from __future__ import annotations

import torch

from pgsclip.training.seeding import seed_step, step_generator


def test_generator_of_a_step_is_the_same_again_and_leaves_the_global_one_alone() -> None:
    cpu = torch.device("cpu")
    before = torch.get_rng_state()
    first = torch.rand(3, generator=step_generator(0, 1, 2, cpu))
    assert torch.equal(first, torch.rand(3, generator=step_generator(0, 1, 2, cpu)))
    assert not torch.equal(first, torch.rand(3, generator=step_generator(0, 1, 3, cpu)))
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_of_a_step_is_the_same_again() -> None:
    with torch.random.fork_rng():
        seed_step(0, 0, 5)
        first = torch.rand(3)
        seed_step(0, 0, 5)
        assert torch.equal(first, torch.rand(3))
