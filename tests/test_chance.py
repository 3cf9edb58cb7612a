from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgsclip.chance import derive


@given(st.integers(0, 2**40), st.integers(0, 2000), st.integers(0, 10**7))
def test_every_part_counts_and_the_seed_fits_torch(seed: int, rank: int, step: int) -> None:
    number = derive(seed, rank, step)
    assert 0 <= number < 2**63
    assert number == derive(seed, rank, step)
    assert len({number, derive(seed + 1, rank, step), derive(seed, rank + 1, step), derive(seed, rank, step + 1)}) == 4


def test_parts_do_not_run_into_each_other() -> None:
    assert derive(1, 23) != derive(12, 3)
