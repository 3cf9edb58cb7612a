from __future__ import annotations

import pytest

from pgsclip.report.paper import Figure, Paper, load_paper
from pgsclip.results.suites import AVERAGES, MAIN_METRIC, PAPER

FOUR = {
    ("robustness", "out of distribution", "CLIP"),
    ("robustness", "out of distribution", "A-CLIP"),
    ("compositionality", "object", "CLIP"),
    ("compositionality", "object", "A-CLIP"),
}


def test_every_average_recomputes_but_the_four_that_are_named() -> None:
    paper = load_paper()
    assert {(one.family, one.average, one.method) for one in paper.do_not_recompute} == FOUR
    assert {row[:3] for row in paper.list_disagreements()} <= FOUR


def test_the_robustness_average_follows_from_imagenet_and_the_rest() -> None:
    """Six sets: ImageNet-1K and five out of distribution; the one row of which all three numbers are here."""
    paper = load_paper()
    values = [
        paper.find_value("robustness", name, "acc1", "CLIP-PGS-0.3") for name in ("imagenet1k", "out of distribution")
    ]
    whole = paper.find_value("robustness", "average", "acc1", "CLIP-PGS-0.3")
    assert whole is not None
    assert (values[0] + 5 * values[1]) / 6 == pytest.approx(whole, abs=0.1)  # type: ignore[operator]


def test_every_figure_has_a_place_a_source_and_a_sensible_value() -> None:
    paper = load_paper()
    averages = {(average.family, average.name) for average in AVERAGES}
    for one in paper.figures:
        assert one.dataset in PAPER[one.family] or (one.family, one.dataset) in averages, one
        assert one.method in paper.methods
        assert one.source in paper.sources
        assert one.metric == MAIN_METRIC[one.family] or one.family == "retrieval"
        assert 0 < one.value < 100
    places = [(one.family, one.dataset, one.metric, one.method) for one in paper.figures]
    assert len(places) == len(set(places))
    assert set(paper.relative_training_time.values) == set(paper.methods)


def test_what_is_missing_is_said_while_it_is_missing() -> None:
    paper = load_paper()
    whole = all(
        paper.find_value(family, name, MAIN_METRIC[family], method) is not None
        for family, names in PAPER.items()
        for name in names
        for method in paper.methods
    )
    assert bool(paper.incomplete) is not whole


def test_an_average_that_does_not_recompute_is_found() -> None:
    cells = [
        Figure(
            table=3, family="linear-probe", dataset=name, metric="lp_acc1", method="CLIP", value=value, source="quoted"
        )
        for name, value in (("cifar10", 90.0), ("cifar100", 70.0), ("imagenet1k", 62.0), ("average", 74.0))
    ]
    right = load_paper().model_copy(update={"figures": tuple(cells)})
    assert right.list_disagreements() == []
    wrong = right.model_copy(update={"figures": (*cells[:3], cells[3].model_copy(update={"value": 74.2}))})
    assert isinstance(wrong, Paper)
    assert wrong.list_disagreements() == [("linear-probe", "average", "CLIP", 74.2, 74.0)]
