from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pgsclip.errors import RunError
from pgsclip.models.plugin_states import FILE, read_states, write_states


def test_states_come_back_by_group_plugin_and_key(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    states = {
        "pgsclip.maskers": {"my.module:Class": {"a/b.weight": shared, "view": shared[:, 1]}},
        "pgsclip.losses": {"simclr": {"steps": torch.tensor(3)}},
    }
    write_states(tmp_path, states)
    found = read_states(tmp_path)
    torch.testing.assert_close(found, states)
    assert found["pgsclip.losses"]["simclr"]["steps"].dtype == torch.int64


def test_plugins_without_a_state_leave_no_file(tmp_path: Path) -> None:
    write_states(tmp_path, {"pgsclip.maskers": {}, "pgsclip.losses": {"plain": {}}})
    assert not list(tmp_path.iterdir())
    assert read_states(tmp_path) == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"junk")
    with pytest.raises(RunError, match=r"plugins\.safetensors is damaged"):
        read_states(tmp_path)
