from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsclip.report.cells import Cell, TableColumn, fill_cell, subtract
from pgsclip.results.result import Result

Make = Callable[..., Result]


def test_cells_as_text() -> None:
    assert [Cell().text(), Cell(31.26).text(), Cell(31.26, 29.84, 33.0).text()] == ["–", "31.3", "31.3 (29.8 to 33.0)"]


def test_a_cell_is_the_share_of_right_answers_with_its_interval(result: Make) -> None:
    column = TableColumn("pets", "acc1", "pets")
    cell = fill_cell([result("zeroshot", "food101", 10), result("zeroshot", "pets", 30)], "zeroshot", column)
    assert cell.value == pytest.approx(30)
    assert cell.low == pytest.approx(30 - 1.96 * 4.58, abs=1.5)  # a binomial of 100 questions
    assert fill_cell([], "zeroshot", column) == Cell()
    assert fill_cell([result("robustness", "pets", 30)], "zeroshot", column) == Cell()


def test_a_difference_moves_the_interval_and_needs_both() -> None:
    assert subtract(Cell(30.0, 25.0, 36.0), Cell(20.0)) == Cell(10.0, 5.0, 16.0)
    assert subtract(Cell(30.0), Cell(20.0)) == Cell(10.0)
    assert subtract(Cell(), Cell(20.0)) == subtract(Cell(30.0), Cell()) == Cell()
