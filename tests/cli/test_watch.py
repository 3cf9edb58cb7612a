from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgsclip.training.saved.run_lock import locked_run


def test_a_run_that_is_over_is_shown_and_ends_as_status_does(cli: Callable[..., Any], tmp_path: Path) -> None:
    with locked_run(tmp_path, leads=True) as claim:
        claim.take()
        (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 3, "loss": 1.5}) + "\n")
    said = cli("watch", str(tmp_path), "--every", "0.5")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "step 3  loss 1.5"
    assert "finished at" in said.out
    said = cli("watch", "nothing")
    assert said.code == 2
    assert "No run has begun in nothing" in said.err
