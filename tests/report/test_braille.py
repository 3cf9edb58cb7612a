from __future__ import annotations

import math

from pgsclip.report.braille import draw_braille


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """Column and row of every dot, read from Unicode's own numbering: dots 1 2 3 7 left, 4 5 6 8 right, downwards."""
    found = set()
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            for dot, (right, down) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
                if (ord(letter) - 0x2800) >> dot & 1:
                    found.add((column * 2 + right, row * 4 + down))
    return found


def test_a_falling_line_goes_from_corner_to_corner() -> None:
    lines = draw_braille([(0.0, 1.0), (10.0, 0.0)], 4, 2)
    assert [len(line) for line in lines] == [4, 4]
    assert dots(lines) == {(n, n) for n in range(8)}


def test_points_are_joined_and_what_is_not_finite_is_left_out() -> None:
    lines = draw_braille([(0.0, 0.0), (1.0, math.nan), (2.0, 8.0), (4.0, 0.0)], 8, 2)
    assert {x for x, _ in dots(lines)} == set(range(16))
    assert (0, 7) in dots(lines)
    assert (8, 0) in dots(lines)


def test_one_value_alone_is_in_the_middle_and_nothing_is_blank() -> None:
    assert dots(draw_braille([(3.0, 5.0)], 2, 2)) == {(0, 4)}
    assert {y for _, y in dots(draw_braille([(0.0, 5.0), (1.0, 5.0)], 2, 2))} == {4}
    assert dots(draw_braille([], 2, 2)) == dots(draw_braille([(0.0, math.inf)], 2, 2)) == set()
