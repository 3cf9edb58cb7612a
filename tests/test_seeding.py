from __future__ import annotations

import ast
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from pgsclip.seeding import STREAMS, derive, make_step_generator, seed_step


@given(st.integers(0, 2**40), st.integers(0, 2000), st.integers(0, 10**7))
def test_every_part_counts_and_the_seed_fits_torch(seed: int, rank: int, step: int) -> None:
    number = derive(seed, rank, step)
    assert 0 <= number < 2**63
    assert number == derive(seed, rank, step)
    assert len({number, derive(seed + 1, rank, step), derive(seed, rank + 1, step), derive(seed, rank, step + 1)}) == 4


def test_parts_do_not_run_into_each_other() -> None:
    assert derive(1, 23) != derive(12, 3)


def test_generator_of_a_step_is_the_same_again_and_leaves_the_global_one_alone() -> None:
    cpu = torch.device("cpu")
    before = torch.get_rng_state()
    first = torch.rand(3, generator=make_step_generator(0, 1, 2, cpu))
    assert torch.equal(first, torch.rand(3, generator=make_step_generator(0, 1, 2, cpu)))
    assert not torch.equal(first, torch.rand(3, generator=make_step_generator(0, 1, 3, cpu)))
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_of_a_step_is_the_same_again() -> None:
    with torch.random.fork_rng():
        seed_step(0, 0, 5)
        first = torch.rand(3)
        seed_step(0, 0, 5)
        assert torch.equal(first, torch.rand(3))


def test_every_stream_of_chance_is_named() -> None:
    """The words in all calls of `derive` in the package."""
    used = set()
    for path in (Path(__file__).parents[1] / "pgsclip").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "derive":
                used |= {one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    assert used == STREAMS.keys()
