from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from pgsclip.distributed import World, barrier, is_true_on_any_rank
from pgsclip.errors import ConfigError, DataError, TrainingError
from pgsclip.process_group import explain_lost_peers, join, leave


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that whatever a test or `join` sets is undone
        monkeypatch.delenv(name)


def test_several_processes_need_an_address() -> None:
    with pytest.raises(ConfigError, match=r"MASTER_ADDR and MASTER_PORT is not set.*start with torchrun"):
        join(World(0, 2, 0), torch.device("cpu"))


def test_alone_no_group_is_opened_unless_asked() -> None:
    cpu = torch.device("cpu")
    join(World(), cpu)
    assert not dist.is_initialized()
    assert is_true_on_any_rank(True)
    assert not is_true_on_any_rank(False)
    barrier()
    join(World(), cpu, always=True)
    try:
        assert dist.get_world_size() == 1
        assert is_true_on_any_rank(True)
        barrier()
    finally:
        leave()
    assert not dist.is_initialized()


def test_only_lost_peers_become_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    advice = "go on with --resume"
    with pytest.raises(RuntimeError, match="Connection closed by peer"), explain_lost_peers(advice):
        raise RuntimeError("gloo: Connection closed by peer")  # alone there are none to lose
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    with pytest.raises(TrainingError, match=r"Process 1 lost its peers.*--resume"), explain_lost_peers(advice):
        raise RuntimeError("[..gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(RuntimeError, match="shape mismatch"), explain_lost_peers(advice):
        raise RuntimeError("shape mismatch")
    with pytest.raises(DataError, match="gloo"), explain_lost_peers(advice):
        raise DataError("gloo")
