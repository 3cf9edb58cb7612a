from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsclip.masking.groups import sorted_groups

COUNTS = st.lists(st.integers(1, 200), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(1, 12))
def test_every_row_runs_once_and_gets_at_least_what_it_wants(counts: list[int], groups: int) -> None:
    wanted = torch.tensor(counts)
    found = sorted_groups(wanted, groups)
    assert torch.cat([rows for rows, _ in found]).sort().values.tolist() == list(range(len(counts)))
    for rows, most in found:
        assert wanted[rows].max() == most, "and not more than the hungriest of its group"


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.integers(1, 12))
def test_the_shape_of_the_passes_depends_on_batch_and_groups_alone(counts: list[int], groups: int) -> None:
    others = [1 + (count * 7) % 50 for count in counts]
    sizes = [len(rows) for rows, _ in sorted_groups(torch.tensor(counts), groups)]
    assert sizes == [len(rows) for rows, _ in sorted_groups(torch.tensor(others), groups)]
    assert len(sizes) == min(groups, len(counts))
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=50, deadline=None)
@given(COUNTS)
def test_as_many_groups_as_rows_waste_nothing(counts: list[int]) -> None:
    found = sorted_groups(torch.tensor(counts), len(counts) + 3)
    assert {int(rows): most for rows, most in found} == dict(enumerate(counts))


def test_groups_are_sorted_and_equal_rows_stay_in_order() -> None:
    found = sorted_groups(torch.tensor([5, 2, 5, 2, 9]), 2)
    assert [(rows.tolist(), most) for rows, most in found] == [([1, 3], 2), ([0, 2, 4], 9)]
