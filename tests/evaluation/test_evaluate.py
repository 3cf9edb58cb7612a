"""What the command line does not show; the rest is in tests/cli/test_evaluate.py."""

from __future__ import annotations

import pytest

from pgsclip.evaluation.evaluate import EvalReport, line, require_results
from pgsclip.evaluation.layouts import MissingSetError
from pgsclip.results.result import Result


def result() -> Result:
    return Result(
        model="m", architecture="a", weights="w", dataset="pets", family="zeroshot", settings={},
        metrics={"acc1": 0.25, "mean_per_class_recall": 0.2}, chance={"acc1": 0.027}, samples=3669, seconds=2.04,
    )  # fmt: skip


def test_a_line_says_what_came_out_beside_chance() -> None:
    assert line(result()) == "zeroshot pets: acc1 25.0% (chance 2.7%); 3,669 images, 2.0 s"


def test_an_evaluation_without_any_set_is_an_error_that_names_three() -> None:
    require_results(EvalReport())
    require_results(EvalReport([result()], 0, ["a"]))
    with pytest.raises(MissingSetError) as caught:
        require_results(EvalReport([], 0, ["a.", "b.", "c.", "d.", "e."]))
    assert str(caught.value).splitlines()[1:4] == ["  a.", "  b.", "  c."]
    assert "2 more" in str(caught.value)
    assert "pgsclip data eval-sets" in str(caught.value)
