from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from pgsclip.errors import ConfigError
from pgsclip.training.distributed import World, agree, barrier, join, leave, read_world


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that whatever a test or `join` sets is undone
        monkeypatch.delenv(name)


def test_alone_without_variables_and_led_by_rank_zero() -> None:
    assert read_world() == World(0, 1, 0)
    assert World(0, 2, 0).leads
    assert not World(1, 2, 1).leads


def test_variables_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert read_world() == World(3, 8, 1)


def test_variables_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "one")
    with pytest.raises(ConfigError, match=r"must be whole numbers, not .*'RANK': 'one'"):
        read_world()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="RANK 2 does not fit WORLD_SIZE 2"):
        read_world()


def test_several_processes_need_an_address() -> None:
    with pytest.raises(ConfigError, match=r"MASTER_ADDR and MASTER_PORT is not set.*start with torchrun"):
        join(World(0, 2, 0), torch.device("cpu"))


def test_alone_no_group_is_opened_unless_asked() -> None:
    cpu = torch.device("cpu")
    join(World(), cpu)
    assert not dist.is_initialized()
    assert agree(True)
    assert not agree(False)
    barrier()
    join(World(), cpu, always=True)
    try:
        assert dist.get_world_size() == 1
        assert agree(True)
        barrier()
    finally:
        leave()
    assert not dist.is_initialized()
