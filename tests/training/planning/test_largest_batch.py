from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsclip.training.planning.largest_batch import Largest, Trial, largest_that_fits, tidy


def machine(resting: float, gradients: float, pair: float, room: float = 1.1) -> Callable[[int], Trial | None]:
    """A device of size 1000 that runs out of memory at `room` times that."""

    def trial(size: int) -> Trial | None:
        peak = resting + max(gradients, pair * size)
        return None if peak > 1000 * room else Trial(int(resting), int(peak))

    return trial


def search(trial: Callable[[int], Trial | None], unit: int = 8, most: int = 10**6) -> Largest:
    return largest_that_fits(trial, limit=1000, unit=unit, most=most)


@pytest.mark.parametrize(
    ("resting", "gradients", "pair"),
    [(100, 0, 1), (100, 100, 1), (300, 200, 3), (10, 5, 0.1), (0, 0, 20), (200, 450, 5), (900, 10, 1)],
)
def test_what_is_found_fits_and_little_more_would_not(resting: float, gradients: float, pair: float) -> None:
    found = search(machine(resting, gradients, pair))
    assert found.size is not None
    exact = (1000 - resting) / pair
    assert 0.85 * exact - 8 <= found.size <= exact
    assert len(found.tried) <= 7
    assert all(one is not None and one.peak <= 1000 for one in found.tried.values()), "from below, without an accident"


def test_a_device_that_ran_out_of_memory_is_asked_for_less() -> None:
    def steeper(size: int) -> Trial | None:  # twice as much a pair beyond 100
        peak = 100 + size + max(0, size - 100)
        return None if peak > 1000 else Trial(100, peak)

    found = search(steeper)
    assert found.size is not None
    assert None in found.tried.values()
    assert 440 <= found.size <= 500


def test_a_line_through_a_trial_that_was_too_large_is_as_good() -> None:
    def steeper(size: int) -> Trial:
        return Trial(100, 100 + size + max(0, size - 100))

    found = search(steeper)
    assert found.size is not None
    assert 440 <= found.size <= 500


def test_never_more_than_there_is() -> None:
    assert search(machine(100, 0, 0.001), most=100).size == 100
    assert search(machine(100, 0, 0.001), most=8).tried.keys() == {8}
    assert search(machine(100, 0, 1), unit=100, most=100).size == 100


def test_not_even_the_smallest() -> None:
    assert search(machine(2000, 0, 1)) == Largest(None, {8: None})
    assert search(machine(1005, 0, 1)).size is None


def test_numbers_are_tidy() -> None:
    assert [tidy(size, 8) for size in (7, 8, 100, 255, 256, 776, 1000, 5000)] == [8, 8, 96, 248, 256, 768, 992, 4864]
    assert [tidy(size, 24) for size in (100, 1000)] == [96, 960]
