from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsclip.errors import UnfinishedError
from pgsclip.training.saved.run_lock import locked_run


def test_a_finished_run_a_stopped_one_and_none(cli: Callable[..., Any], tmp_path: Path) -> None:
    with locked_run(tmp_path, leads=True) as claim:
        claim.take()
    said = cli("status", str(tmp_path))
    assert (said.code, said.err) == (0, "")
    assert "finished at" in said.out
    with pytest.raises(UnfinishedError), locked_run(tmp_path, leads=True) as claim:  # noqa: PT012
        claim.take()
        raise UnfinishedError("Stopped by SIGTERM after step 3 of 9.")
    said = cli("status", str(tmp_path))
    assert said.code == 75
    assert "stopped at" in said.out
    assert "after step 3 of 9" in said.out
    said = cli("status", "nothing")
    assert said.code == 2
    assert said.err.startswith("pgsclip: No run has begun in nothing")
