from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pgsclip.loggers.contract import RunInfo
from pgsclip.testing import check_logger


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where trackio keeps its projects in these tests; it reads the variable once, at its import."""
    folder = tmp_path_factory.mktemp("trackio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(folder))
        pytest.importorskip("trackio")
    return folder


def test_it_keeps_the_contract(tmp_path: Path, projects: Path) -> None:
    from pgsclip_trackio import TrackioLogger

    check_logger(TrackioLogger, tmp_path)


def test_every_figure_is_in_its_database_and_nothing_is_printed(
    tmp_path: Path, projects: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pgsclip_trackio import TrackioLogger, TrackioParams

    logger = TrackioLogger(TrackioParams(project="mine"), RunInfo(tmp_path, {"seed": 7}, 0))
    logger.log({"step": 10, "loss": 3.5, "note": "text", "acc1": float("nan")})
    logger.log({"step": 10, "eval/set/acc1": 0.8})
    logger.close()
    with closing(sqlite3.connect(projects / "mine.db")) as base:
        rows = base.execute("select step, metrics from metrics order by id").fetchall()
        ((config,),) = base.execute("select config from configs").fetchall()
    assert [(step, json.loads(figures)) for step, figures in rows] == [
        (10, {"train/loss": 3.5}),
        (10, {"eval/set/acc1": 0.8}),
    ]
    assert json.loads(config)["seed"] == 7
    assert capfd.readouterr().out == ""
