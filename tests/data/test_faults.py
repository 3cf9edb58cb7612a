from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pgsclip.data.batch import Batch, Fault, Position
from pgsclip.data.faults import ENOUGH, FaultLedger
from pgsclip.errors import DataError


def batch(read: int, *faults: Fault) -> Batch:
    return Batch(torch.zeros(0), torch.zeros(0), torch.zeros(0), [], Position(0, 0, 0), list(faults), read)


def test_up_to_the_allowed_share_nothing_happens_and_one_more_stops_the_run() -> None:
    ledger = FaultLedger(0.02)
    faults = [Fault("corrupt image", "good.tar", "1"), *[Fault("empty caption", "bad.tar", str(n)) for n in range(3)]]
    ledger.add(batch(ENOUGH, *faults))
    with pytest.raises(DataError) as raised:
        ledger.add(batch(0, Fault("truncated tar", "bad.tar", "")))
    assert str(raised.value) == (
        "5 of 200 samples read so far cannot be used (3 x empty caption, 1 x corrupt image, 1 x truncated tar); most "
        "of them, 4, are in bad.tar. Repair or leave out that file, or allow more with --set "
        "data.max_bad_share (now 0.02)."
    )


def test_first_samples_alone_do_not_stop_a_run() -> None:
    ledger = FaultLedger(0.0)
    ledger.add(batch(ENOUGH - 1, Fault("corrupt image", "a.tar", "1")))
    with pytest.raises(DataError, match="1 of 200"):
        ledger.add(batch(1))


def test_everything_may_be_allowed_and_is_counted(tmp_path: Path) -> None:
    ledger = FaultLedger(1.0)
    ledger.add(batch(300, *[Fault("corrupt image", "a.tar", str(n)) for n in range(300)]))
    ledger.write(tmp_path / "faults.json")
    content = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    assert (content["read"], content["by_cause"]) == (300, {"corrupt image": 300})


def test_counts_are_written_worst_first_with_the_first_example(tmp_path: Path) -> None:
    ledger = FaultLedger(1.0)
    ledger.add(batch(10, Fault("empty tar", "ä.tar", ""), Fault("corrupt image", "b.tar", "7", "OSError: cut")))
    ledger.add(batch(10, Fault("corrupt image", "b.tar", "8")))
    ledger.write(tmp_path / "faults.json")
    content = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    assert content == {
        "read": 20,
        "by_cause": {"corrupt image": 2, "empty tar": 1},
        "by_shard": {"b.tar": 2, "ä.tar": 1},
        "first_of_each_cause": {"empty tar": "ä.tar", "corrupt image": "b.tar: 7 (OSError: cut)"},
    }
    assert list(content["by_shard"]) == ["b.tar", "ä.tar"]


def test_nothing_to_say_writes_nothing(tmp_path: Path) -> None:
    ledger = FaultLedger(0.5)
    ledger.add(batch(1000))
    ledger.write(tmp_path / "faults.json")
    assert not (tmp_path / "faults.json").exists()
