from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.errors import RunError
from pgsclip.report.runs import open_subject
from pgsclip.results.result import Result, save_result

Run = Callable[..., Path]
Make = Callable[..., Result]


def test_a_run_is_read_with_everything(run: Run) -> None:
    (found,) = open_subject(run("a"))
    assert found.name == "a"
    assert [row["seconds"] for row in found.training] == [2.0, 4.0, 6.0]
    assert [row["step"] for row in found.evaluations] == [2, 3]
    assert [result.dataset for result in found.results] == ["clipart"]
    assert found.environment["command"] == "pgsclip train --out a"


@pytest.mark.parametrize(
    ("masker", "ratio", "reference"),
    [
        ("none", 0, "CLIP"),
        ("random", 0.5, "FLIP"),
        ("cluster", 0.3, "E-CLIP"),
        ("pgs", 0.5, "CLIP-PGS-0.5"),
        ("pgs", "0.3:0.5", "CLIP-PGS-0.3"),
        ("centered", 0.5, "CLIP"),
    ],
)
def test_a_run_is_measured_against_its_own_kind(run: Run, masker: str, ratio: object, reference: str) -> None:
    assert open_subject(run("a", masker=masker, ratio=ratio))[0].reference == reference


def test_results_of_two_models_are_two_subjects(tmp_path: Path, result: Make) -> None:
    save_result(result("zeroshot", "pets", 3, weights="aaaaaaaa"), tmp_path / "eval")
    save_result(result("zeroshot", "pets", 4, weights="bbbbbbbb"), tmp_path / "eval")
    assert sorted(one.name for one in open_subject(tmp_path / "eval")) == ["ours aaaaaa", "ours bbbbbb"]
    (path, _) = sorted((tmp_path / "eval").iterdir())
    assert len(open_subject(path)) == 1


def test_of_several_checkpoints_the_one_with_most_results_is_told(run: Run, result: Make) -> None:
    folder = run("a")
    for name in ("pets", "cars"):
        save_result(result("zeroshot", name, 3, weights="other"), folder / "eval")
    assert {one.weights for one in open_subject(folder)[0].results} == {"other"}


def test_what_is_none_is_a_sentence(tmp_path: Path, run: Run) -> None:
    with pytest.raises(RunError, match=r"There is no run folder or result .*gone"):
        open_subject(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"holds neither a run \(config\.yaml\) nor results"):
        open_subject(tmp_path / "empty")
    folder = run("a")
    (folder / "config.yaml").write_text("optm: 3")
    with pytest.raises(RunError, match=r"The config of the run .* cannot be read: .*optm is unknown"):
        open_subject(folder)
    broken = tmp_path / "zeroshot-a-b.json"
    broken.write_text('{"model": 3}')
    with pytest.raises(RunError, match=r"is not a result of pgsclip eval"):
        open_subject(broken)
