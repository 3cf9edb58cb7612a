from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from pgsclip.data.batch import Batch, Fault, Position


def test_loader_pins_what_goes_to_the_device_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor + 100)  # a CPU has no memory to pin
    fault = Fault("no caption", "a.tar", "1")
    batch = Batch(torch.zeros(1, 3, 2, 2), torch.ones(1, 4), torch.ones(1), ["k"], Position(2, 1, 7), [fault], 9)
    pinned = pin_memory(batch)
    assert pinned.images.min() == 100
    assert pinned.texts.min() == 101
    assert pinned.lengths.max() == 1
    assert (pinned.keys, pinned.position, pinned.faults, pinned.read) == (["k"], Position(2, 1, 7), [fault], 9)
