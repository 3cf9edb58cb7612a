from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pgsclip.data.source import WorkerPass


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 5), st.integers(0, 2**31))
def test_all_workers_together_take_every_number_once(size: int, count: int, epoch: int, seed: int) -> None:
    shares = [WorkerPass(number, count, epoch, seed).share(size) for number in range(count)]
    assert sorted(number for share in shares for number in share) == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_order_is_of_the_seed_and_the_epoch() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        return WorkerPass(0, 1, epoch, seed).share(50)

    assert order(1, 1) == order(1, 1)
    assert len({tuple(order(epoch, seed)) for epoch in range(3) for seed in range(3)}) == 9


def test_chance_of_a_buffer_is_of_everything_in_the_slot() -> None:
    parts = [
        WorkerPass(0, 2, 0, 1),
        WorkerPass(1, 2, 0, 1),
        WorkerPass(0, 3, 0, 1),
        WorkerPass(0, 2, 1, 1),
        WorkerPass(0, 2, 0, 2),
    ]
    assert len({work.chance().random() for work in parts}) == len(parts)
    assert parts[0].chance().random() == parts[0].chance().random()
