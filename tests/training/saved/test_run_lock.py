from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pgsclip.errors import RunError, TrainingError, UnfinishedError
from pgsclip.results.run_status import read_status
from pgsclip.training.saved.run_lock import locked_run

HOLD = """
import sys
from pathlib import Path
from pgsclip.training.saved.run_lock import RunLock
claim = RunLock(Path(sys.argv[1]), leads=True)
claim.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("error", "state", "code", "said"),
    [
        (None, "finished", 0, "all steps are done."),
        (UnfinishedError("Stopped."), "stopped", 75, "Stopped."),
        (TrainingError("No number."), "failed", 2, "No number."),
        (KeyboardInterrupt("twice"), "failed", 2, "KeyboardInterrupt: twice"),
    ],
)
def test_how_a_run_ended_stands_in_its_folder(
    tmp_path: Path, error: BaseException | None, state: str, code: int, said: str
) -> None:
    if error is None:
        with locked_run(tmp_path, leads=True) as claim:
            claim.take()
            assert (read_status(tmp_path).state, read_status(tmp_path).exit_code) == ("running", 2)
            assert "unless it was killed" in read_status(tmp_path).describe()
    else:
        with pytest.raises(type(error)), locked_run(tmp_path, leads=True) as claim:  # noqa: PT012
            claim.take()
            raise error
    found = read_status(tmp_path)
    assert (found.state, found.exit_code, found.said) == (state, code, said)
    assert found.describe() == f"{state} at {found.at}: {said}"


def test_who_did_not_take_the_folder_or_does_not_lead_writes_nothing(tmp_path: Path) -> None:
    for leads in (True, False):
        with pytest.raises(TrainingError), locked_run(tmp_path, leads=leads) as claim:  # noqa: PT012
            if not leads:
                claim.take()
            raise TrainingError("early")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match=r"No run has begun in .* \(no status.json\); give the folder of a run"):
        read_status(tmp_path)
    (tmp_path / "status.json").write_text("{}")
    with pytest.raises(RunError, match=r"status.json cannot be read .*; look at the log"):
        read_status(tmp_path)


def test_a_second_run_is_refused_until_the_first_is_gone_however_it_went(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with (
            locked_run(tmp_path, leads=True) as claim,
            pytest.raises(RunError, match=rf"at work in .*: running since .* as process {first.pid} of .* Wait for"),
        ):
            claim.take()
        assert read_status(tmp_path).pid == first.pid
        first.kill()
        first.wait()
        with locked_run(tmp_path, leads=True) as claim:
            claim.take()
    assert read_status(tmp_path).state == "finished"
