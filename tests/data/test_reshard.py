from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgsclip.data.batch import Position
from pgsclip.data.reshard import resume_position


def test_two_readers_hand_over_to_one_and_to_four() -> None:
    before = [Position(0, 0, 30), Position(1, 0, 26)]
    assert resume_position(before, 100, 1) == (0, 56)
    assert resume_position(before, 100, 4) == (0, 14)


def test_passes_that_are_done_stay_done() -> None:
    assert resume_position([Position(0, 3, 10), Position(0, 3, 10)], 100, 2) == (3, 10)
    assert resume_position([Position(0, 1, 0), Position(0, 0, 40)], 100, 2) == (0, 45)  # one is a little ahead


@given(st.integers(1, 16), st.integers(1, 16), st.integers(0, 5), st.integers(0, 99))
def test_nothing_is_read_twice_or_left_out_but_a_few(old: int, new: int, epoch: int, taken: int) -> None:
    size = 100 * old
    found, skip = resume_position([Position(worker, epoch, taken) for worker in range(old)], size, new)
    seen = found * size + skip * new
    assert abs(seen - old * (100 * epoch + taken)) <= new
