from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsclip.errors import RunError
from pgsclip.report.curves import add_flops
from pgsclip.report.live_line import format_line
from pgsclip.report.runs import read_entries
from pgsclip.results.result import Result, save_result

Run = Callable[..., Path]
Make = Callable[..., Result]


def test_a_run_is_read_with_everything(run: Run) -> None:
    (found,) = read_entries(run("a"))
    assert found.name == "a"
    assert [row["seconds"] for row in found.training] == [2.0, 4.0, 6.0]
    assert [row["step"] for row in found.evaluations] == [2, 3]
    assert [result.dataset for result in found.results] == ["clipart"]
    assert found.environment["command"] == "pgsclip train --out a"


def test_figures_of_earlier_versions_come_under_their_present_names(run: Run) -> None:
    folder = run("a")
    old = {"step": 1, "samples": 100, "loss": 4.0, "acc1": 0.1, "temperature": 14.5, "alike": 0.2, "kept": 0.75}
    old |= {"data_wait": 0.03, "samples_per_s": 50.0, "memory_gib": 1.0}
    (folder / "metrics.jsonl").write_text(json.dumps(old))
    (found,) = read_entries(folder)
    [row] = add_flops(found.training, lambda patches_kept: 4 * patches_kept)
    assert row["flops"] == 300.0
    assert "logit scale 14.5" in format_line(row, 10, 1.0)
    assert (row["image_similarity"], row["data_wait_share"]) == (0.2, 0.03)
    assert not row.keys() & {"temperature", "alike", "kept", "data_wait"}


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
    assert read_entries(run("a", masker=masker, ratio=ratio))[0].reference == reference


def test_results_of_two_models_are_two_subjects(tmp_path: Path, result: Make) -> None:
    save_result(result("zeroshot", "pets", 3, weights="aaaaaaaa"), tmp_path / "eval")
    save_result(result("zeroshot", "pets", 4, weights="bbbbbbbb"), tmp_path / "eval")
    assert sorted(one.name for one in read_entries(tmp_path / "eval")) == ["ours aaaaaa", "ours bbbbbb"]
    (path, _) = sorted((tmp_path / "eval").iterdir())
    assert len(read_entries(path)) == 1


@pytest.mark.parametrize("names", [("w1", "w2"), ("w2", "w1")])
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"step": 100, "evaluated_at": "2026-01-02T00:00:00+00:00"}, {"step": 200, "evaluated_at": "2026-01-01T00"}),
        ({"step": 200, "evaluated_at": "2026-01-01T00"}, {"step": 200, "evaluated_at": "2026-01-02T00"}),
        ({}, {"step": 1}),
        ({}, {"evaluated_at": "2026-01-02T00"}),
    ],
    ids=["a later step, evaluated before", "the same step again", "a step", "a time"],
)
def test_of_several_checkpoints_the_latest_is_shown_and_the_others_are_told(
    tmp_path: Path, run: Run, result: Make, names: tuple[str, str], older: dict[str, Any], newer: dict[str, Any]
) -> None:
    folder = run("a")
    shutil.rmtree(folder / "eval")
    for weights, what, sets in zip(names, (older, newer), (("pets", "cars"), ("pets",)), strict=True):
        for dataset in sets:
            one = result("zeroshot", dataset, 3, weights=weights).model_copy(update=what)
            gallery = save_result(one, folder / "eval").name.replace(".json", ".gallery.json")
            (folder / "eval" / gallery).write_text(json.dumps({"dataset": dataset, "of": weights}))
    (entry,) = read_entries(folder)
    assert [(one.weights, one.dataset) for one in entry.results] == [(names[1], "pets")]
    assert [one["of"] for one in entry.galleries] == [names[1]]
    assert "2 results of other checkpoints" in entry.left_out
    assert ("(step 100)" in entry.left_out) == (older.get("step") == 100)
    assert f"report {folder / 'eval'}" in entry.left_out


@pytest.mark.parametrize("precisions", [("amp", "fp32"), ("fp32", "amp")])
def test_of_several_settings_the_last_is_shown_and_the_others_are_counted(
    run: Run, result: Make, precisions: tuple[str, str]
) -> None:
    folder = run("a")
    for day, precision in enumerate(precisions, 1):
        what = {"settings": {"precision": precision}, "evaluated_at": f"2026-01-0{day}"}
        save_result(result("zeroshot", "pets", 30 + day).model_copy(update=what), folder / "eval")
    for path in (folder, folder / "eval"):
        (entry,) = read_entries(path)
        assert {one.dataset: one.settings.get("precision") for one in entry.results}["pets"] == precisions[1]
        assert "1 result computed earlier with other settings" in entry.left_out


def test_what_is_none_is_a_sentence(tmp_path: Path, run: Run) -> None:
    with pytest.raises(RunError, match=r"There is no run folder or result .*gone"):
        read_entries(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"holds neither a run \(config\.yaml\) nor results"):
        read_entries(tmp_path / "empty")
    folder = run("a")
    (folder / "config.yaml").write_text("optm: 3")
    with pytest.raises(RunError, match=r"The config of the run .* cannot be read: .*optm is unknown"):
        read_entries(folder)
    broken = tmp_path / "zeroshot-a-b.json"
    broken.write_text('{"model": 3}')
    with pytest.raises(RunError, match=r"is not a result of pgsclip eval"):
        read_entries(broken)
