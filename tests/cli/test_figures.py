from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgsclip.cli.figures import write_figures
from pgsclip.errors import RunError


def test_figures_are_written_whole_or_refused_in_a_sentence(tmp_path: Path) -> None:
    write_figures(tmp_path / "a.json", [{"seconds": 1.5}])
    assert json.loads((tmp_path / "a.json").read_text()) == [{"seconds": 1.5}]
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(RunError, match=r"The figures cannot be written to .*b\.json: No such file or directory"):
        write_figures(tmp_path / "none" / "b.json", [])
