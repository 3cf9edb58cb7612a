from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pgsclip.config.params import PluginParams
from pgsclip.loggers.contract import Row, RunInfo
from pgsclip.testing.logger import check_logger


class Sound:
    """Appends rows to a file of its own."""

    Params: ClassVar[Any] = PluginParams

    def __init__(self, params: PluginParams, run: RunInfo) -> None:
        self.path = run.path / "rows.txt"

    def log(self, row: Row) -> None:
        with self.path.open("a") as file:
            file.write(f"{row}\n")

    def close(self) -> None: ...


class Undocumented(PluginParams):
    url: str = ""


def _into_metrics(self: Any, row: Row) -> None:
    (self.path.parent / "metrics.jsonl").write_text("mine")


def _into_the_row(self: Any, row: Any) -> None:
    row["mine"] = 1


def test_a_sound_logger_passes(tmp_path: Path) -> None:
    check_logger(Sound, tmp_path)
    assert len((tmp_path / "rows.txt").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Params": None}, "Declare `Params`, a class derived from PluginParams"),
        ({"Params": int}, "Params must derive from PluginParams, not object"),
        ({"Params": Undocumented}, r"Write a docstring under these parameters, .*\['url'\]"),
        ({"__doc__": ""}, "Write a docstring on the logger's class"),
        ({"close": None}, "Write the method `close`"),
        ({"log": _into_metrics}, "writes to metrics.jsonl, which belongs to the run"),
        ({"log": _into_the_row}, "writes into the row; work on a copy"),
    ],
)
def test_what_is_broken_is_told(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=words):
        check_logger(type("Broken", (Sound,), {"__doc__": "Something.", **changes}), tmp_path)
