from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pgsclip.config.fields import PluginConfig
from pgsclip.config.params import PluginParams
from pgsclip.errors import PluginError
from pgsclip.loggers.contract import Row, RunInfo
from pgsclip.loggers.registry import Loggers, check_loggers

HERE = __name__
RUN = RunInfo(Path("runs/x"), {"seed": 0}, 5)


class Keeps:
    Params: ClassVar[type[PluginParams]] = PluginParams

    def __init__(self, params: PluginParams, run: RunInfo) -> None:
        self.run = run
        self.rows: list[Any] = []

    def log(self, row: Row) -> None:
        self.rows.append(row)

    def close(self) -> None:
        self.rows.append("closed")


class Fails(Keeps):
    def log(self, row: Row) -> None:
        if row["step"] == 2:
            raise OSError("no space left")
        super().log(row)


class CannotStart(Keeps):
    def __init__(self, params: PluginParams, run: RunInfo) -> None:
        raise ConnectionError("nobody answers")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"keeps": Keeps, "fails": Fails, "cannot": CannotStart, "none": Path}
    monkeypatch.setattr("pgsclip.plugins.load", lambda group, name: known[name])


def test_rows_reach_every_logger_and_a_failing_one_ends_alone() -> None:
    said: list[str] = []
    keeps, fails = Keeps(PluginParams(), RUN), Fails(PluginParams(), RUN)
    loggers = Loggers({"fails": fails, "keeps": keeps}, said.append)
    for step in (1, 2, 3):
        loggers.log({"step": step})
    loggers.close()
    loggers.close()
    assert keeps.rows == [{"step": 1}, {"step": 2}, {"step": 3}, "closed"]
    assert fails.rows == [{"step": 1}]
    (sentence,) = said
    assert all(fact in sentence for fact in ("'fails'", "OSError: no space left", "goes on", "metrics.jsonl"))


def test_a_logger_is_made_with_its_run(named: None) -> None:
    make = check_loggers([PluginConfig(name="keeps")])["keeps"]
    assert make(RUN).run == RUN  # type: ignore[attr-defined]


def test_what_is_wrong_is_found_before_the_run_starts(named: None) -> None:
    with pytest.raises(PluginError, match=r"The logger 'none' is no logger.*Params .*check_logger"):
        check_loggers([PluginConfig(name="none")])
    with pytest.raises(PluginError, match=r"The logger 'keeps' refuses its parameters: 'url' is unknown"):
        check_loggers([PluginConfig(name="keeps", params={"url": "x"})])
    with pytest.raises(
        PluginError, match=r"The logger 'cannot' could not start: ConnectionError: nobody answers\. Rep"
    ):
        check_loggers([PluginConfig(name="cannot")])["cannot"](RUN)
