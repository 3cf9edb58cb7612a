from __future__ import annotations

from collections.abc import Callable

import pytest

from pgsclip.report.cells import Cell
from pgsclip.report.paper import Figure, load_paper
from pgsclip.report.tables import Model, Table, abbreviate, build_tables
from pgsclip.results.result import Result
from pgsclip.results.suites import PAPER

Make = Callable[..., Result]


def table(tables: list[Table], title: str) -> Table:
    return next(one for one in tables if one.title.startswith(title))


def cell(found: Table, row: str, dataset: str) -> Cell:
    index = next(i for i, column in enumerate(found.columns) if column.dataset == dataset)
    return next(one for one in found.rows if one.name == row).cells[index]


def test_ours_stands_beneath_the_paper_with_interval_and_difference(result: Make) -> None:
    model = Model("mine", [result("robustness", "imagenet1k", 400, 1000)], "CLIP-PGS-0.3")
    found = table(build_tables([model], load_paper()), "Robustness")
    ours = cell(found, "mine", "imagenet1k")
    assert ours.value == pytest.approx(40.0)
    assert ours.low == pytest.approx(37, abs=0.3)
    difference = cell(found, "difference to CLIP-PGS-0.3", "imagenet1k")
    assert difference.value == pytest.approx(1.4)
    assert difference.low == pytest.approx(ours.low - 38.6)
    assert [row.kind for row in found.rows] == ["paper"] * 6 + ["ours", "difference"]


def test_our_average_is_formed_only_of_all_its_sets(result: Make) -> None:
    some = [result("robustness", name, 10 * i) for i, name in enumerate(PAPER["robustness"])]
    whole = table(build_tables([Model("mine", some)], load_paper()), "Robustness")
    assert cell(whole, "mine", "average").value == pytest.approx(25)
    assert cell(whole, "mine", "out of distribution").value == pytest.approx(30)
    part = table(build_tables([Model("mine", some[:-1])], load_paper()), "Robustness")
    assert cell(part, "mine", "average") == Cell()


def test_a_set_that_nobody_knows_is_a_line_and_not_a_row_of_dashes() -> None:
    found = table(build_tables([], load_paper()), "Zero-shot classification")
    assert [column.dataset for column in found.columns] == ["average"]
    assert any(note.startswith("Not known for any row: food101, cifar10") for note in found.notes)


def test_a_printed_average_that_does_not_recompute_is_shown_recomputed_and_said() -> None:
    cells = [
        Figure(
            table=5, family="compositionality", dataset=name, metric="text_acc", method="CLIP", value=v, source="note"
        )
        for name, v in (
            ("sugar_crepe/replace_obj", 80.0), ("sugar_crepe/swap_obj", 60.0), ("sugar_crepe/add_obj", 70.0),
            ("object", 77.0),
        )
    ]  # fmt: skip
    paper = load_paper().model_copy(update={"figures": tuple(cells)})
    found = table(build_tables([], paper), "Compositionality")
    assert cell(found, "CLIP", "object").value == pytest.approx(70)
    assert "The object average of CLIP is recomputed from its cells (printed: 77.0)." in found.notes


def test_captions_of_one_s_own_are_not_called_by_a_benchmark_s_name(result: Make) -> None:
    models = [Model("a", [result("compositionality", "demo-colours", 100)])]
    titles = [one.title for one in build_tables(models, load_paper()) if one.title.endswith("other sets")]
    assert titles == ["Compositionality, text accuracy: other sets"]


def test_sets_that_the_paper_has_not_stand_beside_chance(result: Make) -> None:
    models = [Model("a", [result("zeroshot", "clipart", 30)]), Model("b", [result("zeroshot", "emoji", 20)])]
    found = table(build_tables(models, load_paper()), "Zero-shot classification, top-1 accuracy: other sets")
    assert [column.dataset for column in found.columns] == ["clipart", "emoji"]
    assert cell(found, "chance", "clipart").value == pytest.approx(10)
    assert cell(found, "a", "clipart").value == pytest.approx(30)
    assert cell(found, "a", "emoji") == Cell()


def test_recalls_are_named_as_in_the_paper() -> None:
    assert abbreviate("text_retrieval_recall@5") == "TR@5"
    assert abbreviate("image_retrieval_recall@1") == "IR@1"
