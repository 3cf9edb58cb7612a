from __future__ import annotations

from itertools import combinations, pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsclip.bucketing import cut_into_buckets

COUNTS = st.lists(st.integers(1, 200), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(1, 12))
def test_every_row_runs_once_and_gets_at_least_what_it_wants(counts: list[int], max_passes: int) -> None:
    wanted = torch.tensor(counts)
    found = cut_into_buckets(wanted, max_passes)
    assert torch.cat([rows for rows, _ in found]).sort().values.tolist() == list(range(len(counts)))
    for rows, most in found:
        assert wanted[rows].max() == most, "and not more than the hungriest of its bucket"


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.integers(1, 12))
def test_where_ranks_gather_weights_the_number_of_passes_depends_on_batch_and_limit_alone(
    counts: list[int], max_passes: int
) -> None:
    sizes = [len(rows) for rows, _ in cut_into_buckets(torch.tensor(counts), max_passes, exactly=True)]
    assert len(sizes) == min(max_passes, len(counts))
    assert min(sizes) > 0


@settings(max_examples=50, deadline=None)
@given(COUNTS)
def test_as_many_buckets_as_rows_waste_nothing(counts: list[int]) -> None:
    found = cut_into_buckets(torch.tensor(counts), len(counts) + 3, exactly=True)
    assert {int(rows): most for rows, most in found} == dict(enumerate(counts))


def test_buckets_are_sorted_and_equal_rows_stay_in_order() -> None:
    found = cut_into_buckets(torch.tensor([5, 2, 5, 2, 9]), 2)
    assert [(rows.tolist(), most) for rows, most in found] == [([1, 3, 0, 2], 5), ([4], 9)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(3, 20), min_size=1, max_size=12), st.integers(1, 5))
def test_no_other_cuts_pad_less(lengths: list[int], max_passes: int) -> None:
    ordered = sorted(lengths)

    def least(passes: int) -> int:
        inner = combinations(range(1, len(ordered)), min(passes, len(ordered)) - 1)
        return min(
            sum((end - start) * ordered[end - 1] for start, end in pairwise([0, *cuts, len(ordered)])) for cuts in inner
        )

    for exactly in (False, True):
        found = cut_into_buckets(torch.tensor(lengths), max_passes, exactly=exactly)
        assert sum(len(rows) * most for rows, most in found) == least(len(found))
        assert all(len(rows) and max(lengths[row] for row in rows.tolist()) == most for rows, most in found)
        assert sorted(row for rows, _ in found for row in rows.tolist()) == list(range(len(lengths)))


def test_a_pass_that_spares_next_to_nothing_is_not_made() -> None:
    counts = torch.tensor([100] * 50 + [101] * 50)
    assert [(len(rows), most) for rows, most in cut_into_buckets(counts, 2)] == [(100, 101)]
    counts = torch.tensor([100] * 50 + [103] * 50)
    assert [(len(rows), most) for rows, most in cut_into_buckets(counts, 2)] == [(50, 100), (50, 103)]


def test_the_one_long_caption_runs_alone() -> None:
    found = cut_into_buckets(torch.tensor([5, 77, 5, 4, 5]), 2)
    assert [(rows.tolist(), most) for rows, most in found] == [([3, 0, 2, 4], 5), ([1], 77)]


def test_equal_rows_run_at_once_unless_ranks_must_run_equally_many() -> None:
    counts = torch.full((6,), 8)
    assert [(len(rows), most) for rows, most in cut_into_buckets(counts, 4)] == [(6, 8)]
    assert [(len(rows), most) for rows, most in cut_into_buckets(counts, 4, exactly=True)] == [(1, 8)] * 3 + [(3, 8)]


def test_no_rows_are_one_empty_group() -> None:
    [(rows, most)] = cut_into_buckets(torch.zeros(0, dtype=torch.long), 3, exactly=True)
    assert (rows.tolist(), most) == ([], 0)
