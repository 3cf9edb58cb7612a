from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgsclip.errors import DataError
from pgsclip.evaluation.demo import write_demo_sets
from pgsclip.evaluation.download import fetch
from pgsclip.results.suites import Job


def test_only_what_is_missing_and_on_the_hub_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: asked.append((name, options)))
    write_demo_sets(tmp_path)
    jobs = [
        Job("zeroshot", "demo-shapes"), Job("compositionality", "sugar_crepe/add_obj"), Job("linear-probe", "cifar10")
    ]  # fmt: skip
    said: list[str] = []
    fetch(jobs, tmp_path, said.append)
    assert said == ["fetching clip-benchmark/wds_vtab-cifar10"]
    ((name, options),) = asked
    assert name == "clip-benchmark/wds_vtab-cifar10"
    assert options["local_dir"] == tmp_path / "wds_vtab-cifar10"
    assert options["allow_patterns"] == ["*.txt", "train/*", "test/*"]


def test_a_hub_that_does_not_answer_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route\nmore")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(DataError, match=r"The set pets cannot be fetched from clip-benchmark/wds_vtab-pets: no route$"):
        fetch([Job("zeroshot", "pets")], tmp_path, print)
