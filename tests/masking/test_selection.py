from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from pgsclip.config.ratio import Ratio
from pgsclip.errors import MaskerError
from pgsclip.masking.contract import MaskScores
from pgsclip.masking.selection import choose, count_kept, count_wanted, select, select_each

PERCENT = st.integers(0, 99)


def _drawn(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 1000), PERCENT)
def test_the_kept_count_is_the_rounded_share_and_at_least_one(patches: int, percent: int) -> None:
    share = Decimal(patches) * (100 - percent) / 100
    nearest = {max(1, int(share.quantize(Decimal(1), ROUND_HALF_EVEN)))}
    if share % 1 == Decimal("0.5"):  # 1 - 0.3 is no binary fraction: a tie may fall to either side
        nearest |= {max(1, int(share)), int(share) + 1}
    assert count_kept(patches, percent / 100) in nearest


@pytest.mark.parametrize(("patches", "ratio", "kept"), [(196, 0.5, 98), (196, 0.3, 137), (1, 0.9, 1), (7, 0.0, 7)])
def test_kept_counts_of_the_paper(patches: int, ratio: float, kept: int) -> None:
    assert count_kept(patches, ratio) == kept


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 60), PERCENT, st.integers(0, 1000), st.integers(1, 50))
def test_the_best_are_kept_ascending_and_once(batch: int, patches: int, percent: int, seed: int, levels: int) -> None:
    keep = torch.from_numpy(np.random.default_rng(seed).integers(0, levels, (batch, patches))).float()
    kept = select(keep, percent / 100, _drawn(seed))
    count = count_kept(patches, percent / 100)
    assert kept.shape == (batch, count)
    assert kept.dtype == torch.int64
    assert kept.diff(dim=1).gt(0).all()
    for scores, chosen in zip(keep, kept, strict=True):
        assert scores[chosen].sort(descending=True).values.tolist() == sorted(scores.tolist(), reverse=True)[:count]


def test_equal_scores_fall_by_chance_and_everywhere_alike() -> None:
    rounds, images, patches = 40, 100, 49
    kept = torch.zeros(patches)
    for seed in range(rounds):
        kept += torch.bincount(select(torch.zeros(images, patches), 0.5, _drawn(seed)).flatten(), minlength=patches)
    share, trials = 24 / 49, rounds * images
    sigma = (share * (1 - share) / trials) ** 0.5
    assert (kept / trials - share).abs().max() < 5 * sigma


def test_chance_decides_only_among_equals() -> None:
    keep = torch.tensor([[1.0, 2.0, 1.0, 2.0, 0.0, 1.0]]).repeat(300, 1)
    kept = select(keep, 0.5, _drawn())
    assert {tuple(row) for row in kept.tolist()} == {(0, 1, 3), (1, 2, 3), (1, 3, 5)}


def test_the_generator_decides_and_nothing_else() -> None:
    keep = torch.zeros(3, 40)
    state = torch.get_rng_state()
    assert torch.equal(select(keep, 0.5, _drawn(1)), select(keep, 0.5, _drawn(1)))
    assert not torch.equal(select(keep, 0.5, _drawn(1)), select(keep, 0.5, _drawn(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_choice_does_not_look_at_the_other_images() -> None:
    ours = torch.randint(0, 3, (4, 30), generator=_drawn(5)).float()
    theirs = torch.cat([ours[:1], torch.randn(3, 30)])
    assert torch.equal(select(ours, 0.5, _drawn())[0], select(theirs, 0.5, _drawn())[0])


def test_a_fixed_ratio_is_one_group_of_all_rows() -> None:
    scores = MaskScores(torch.randn(5, 20), torch.rand(5))
    [(rows, kept)] = choose(scores, Ratio(0.5, 0.5), _drawn(), max_passes=4)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(kept, select(scores.keep, 0.5, _drawn()))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 50), PERCENT, PERCENT, st.integers(1, 6), st.integers(0, 99))
def test_a_range_gives_every_image_what_it_asked_for_or_a_little_more(
    batch: int, patches: int, one: int, other: int, max_passes: int, seed: int
) -> None:
    ratio = Ratio(min(one, other) / 100, max(one, other) / 100)
    scores = MaskScores(torch.rand(batch, patches, generator=_drawn(seed)), torch.rand(batch, generator=_drawn(seed)))
    least, most = count_kept(patches, ratio.high), count_kept(patches, ratio.low)
    singles = select_each(scores, ratio, _drawn(seed))
    seen = []
    for rows, kept in choose(scores, ratio, _drawn(seed), max_passes):
        assert least <= kept.shape[1] <= most
        assert kept.diff(dim=1).gt(0).all()
        for row, chosen in zip(rows.tolist(), kept.tolist(), strict=True):
            seen.append(row)
            if ratio.is_range:
                assert set(singles[row].tolist()) <= set(chosen)
    assert sorted(seen) == list(range(batch))
    assert all(least <= len(single) <= most for single in singles)


def test_the_ratio_of_an_image_is_clamped_to_the_range() -> None:
    scores = MaskScores(torch.randn(4, 100), torch.tensor([0.0, 0.4, 0.9, 1.0]))
    assert count_wanted(scores, Ratio(0.3, 0.5)).tolist() == [70, 60, 50, 50]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 1000), PERCENT, PERCENT)
def test_an_image_at_the_end_of_a_range_keeps_what_a_fixed_ratio_would(patches: int, one: int, other: int) -> None:
    ratio = Ratio(min(one, other) / 100, max(one, other) / 100)
    scores = MaskScores(torch.zeros(2, patches), torch.tensor([0.0, 1.0]))
    expected = [count_kept(patches, ratio.low), count_kept(patches, ratio.high)]
    assert count_wanted(scores, ratio).tolist() == expected


def test_single_images_keep_their_best() -> None:
    scores = MaskScores(torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0]]), torch.tensor([0.25, 0.75]))
    assert [row.tolist() for row in select_each(scores, Ratio(0.0, 0.9), _drawn())] == [[0, 1, 2], [3]]


def test_bfloat16_scores_are_accepted() -> None:
    [(_, kept)] = choose(MaskScores(torch.arange(8).bfloat16()[None]), Ratio(0.5, 0.5), _drawn(), max_passes=1)
    assert kept.tolist() == [[4, 5, 6, 7]]


def test_a_range_without_a_ratio_per_image_is_a_sentence() -> None:
    words = r"does not choose a ratio per image, so it cannot take the range 0\.3:0\.5\. Give one ratio, such as 0\.5"
    with pytest.raises(MaskerError, match=words):
        choose(MaskScores(torch.randn(2, 9)), Ratio(0.3, 0.5), _drawn(), max_passes=2)
