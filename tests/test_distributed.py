from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from pgsclip import distributed as room
from pgsclip.distributed import DelayedFlag, World, gather_objects, is_true_on_any_rank
from pgsclip.errors import ConfigError, DataError
from pgsclip.process_group import find_free_port, joined


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that whatever a test or `join` sets is undone
        monkeypatch.delenv(name)


def test_rank_zero_leads() -> None:
    assert World(0, 2, 0).leads
    assert not World(1, 2, 1).leads


def test_alone_a_flag_is_answered_at_once_and_gathering_gives_one() -> None:
    flag = DelayedFlag()
    assert flag.exchange(True)
    assert not flag.exchange(False)
    assert not flag.close()
    assert gather_objects({"a": 1}) == [{"a": 1}]


def test_what_fails_on_one_rank_fails_on_all_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    room.fail_together(lambda: None)
    with pytest.raises(OSError, match="full"):
        room.fail_together(_raise(OSError(28, "full")))
    both = [DataError("on the second"), ConfigError("on the third")]
    monkeypatch.setattr(room, "gather_objects", lambda value: [value, *both])
    with pytest.raises(DataError, match="on the second"):
        room.fail_together(lambda: None)
    with pytest.raises(ConfigError, match="here"):
        room.fail_together(_raise(ConfigError("here")))


def _raise(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_alone_every_exchange_answers_with_what_there_is() -> None:
    assert (room.get_rank(), room.get_world_size()) == (0, 1)
    assert room.broadcast_object("a") == "a"
    assert list(room.iterate_in_step(iter([0, 1]))) == [0, 1]
    rows = torch.ones(2, 3)
    assert room.gather_rows(rows, ["a", "b"]) == (rows, ["a", "b"])
    assert room.gather_features(rows) is rows
    assert room.sum_over_ranks(rows) is rows
    assert room.mean_over_ranks(rows) is rows


def exchange_everything(rank: int, port: int, folder: Path) -> None:
    """What one of two ranks sees of every exchange, written to a file."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)  # pytest has put its own filters in place of the room's
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    with joined(World(rank, 2, rank), torch.device("cpu"), minutes=1.0):
        seen: dict[str, Any] = {"rank": room.get_rank(), "size": room.get_world_size()}
        seen["any"] = [is_true_on_any_rank(rank == 1), is_true_on_any_rank(False)]
        flag = DelayedFlag()
        seen["delayed"] = [flag.exchange(rank == 1), flag.exchange(False), flag.exchange(False), flag.close()]
        seen["objects"] = gather_objects({"rank": rank})
        seen["leading"] = room.broadcast_object([rank, "yes"])
        seen["steps"] = list(room.iterate_in_step(iter([0] if rank else [0, 1, 2])))
        rows = torch.full((2 - rank, 2), float(rank))
        seen["rows"], seen["labels"] = room.gather_rows(rows, [f"{rank}{n}" for n in range(len(rows))])
        counts = torch.tensor([rank + 1, 5])
        seen["sum"], seen["own"] = room.sum_over_ranks(counts), counts
        seen["mean"] = room.mean_over_ranks(torch.tensor([float(rank), 4.0]))
        own = torch.tensor([[1.0 + rank]], requires_grad=True)
        every = room.gather_features(own)
        (every * torch.tensor([[3.0], [7.0]]) * (rank + 1)).sum().backward()
        seen["features"], seen["gradient"] = every.detach(), own.grad
        try:
            room.fail_together(_raise(DataError("on the second")) if rank else lambda: None)
        except DataError as error:
            seen["failure"] = str(error)
        torch.save(seen, folder / f"{rank}.pt")
    assert not dist.is_initialized()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder, port = tmp_path_factory.mktemp("ranks"), find_free_port()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=exchange_everything, args=(rank, port, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("rank", [0, 1])
def test_two_ranks_exchange(rank: int, pair: list[dict[str, Any]]) -> None:
    seen = pair[rank]
    assert (seen["rank"], seen["size"]) == (rank, 2)
    assert seen["any"] == [True, False]
    assert seen["delayed"] == [False, True, False, False]  # the answer to a flag comes at the next call
    assert seen["objects"] == [{"rank": 0}, {"rank": 1}]
    assert seen["leading"] == [0, "yes"]
    assert seen["steps"] == ([0, 1, 2] if rank == 0 else [0, None, None])
    assert seen["rows"].tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    assert seen["labels"] == ["00", "01", "10"]
    assert seen["sum"].tolist() == [3, 10]
    assert seen["own"].tolist() == [rank + 1, 5]  # what was given stays as it was
    assert seen["mean"].tolist() == [0.5, 4.0]
    assert seen["features"].tolist() == [[1.0], [2.0]]
    assert seen["gradient"].tolist() == [[(3.0, 7.0)[rank] * 3]]  # of both ranks' losses, weighed 1 and 2
    assert seen["failure"] == "on the second"
