from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from pgsclip.evaluation.datasets import EvalBatch
from pgsclip.evaluation.encoder import Encoder
from pgsclip.evaluation.features import encode_images, encode_texts
from pgsclip.evaluation.layouts import MissingSetError

CPU = torch.device("cpu")


def encoder(calls: list[int] | None = None) -> Encoder:
    """Features are (k, 2k) for the picture or the text of number k; how many were encoded at once goes to `calls`."""

    def features(images: Tensor | None, texts: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if calls is not None:
            calls.append(len(images if images is not None else texts))  # type: ignore[arg-type]
        seen = None if images is None else images[:, 0, 0, 0]
        read = None if texts is None else texts[:, 0].float()
        return tuple(None if one is None else torch.stack([one, 2 * one], dim=1) for one in (seen, read))  # type: ignore[return-value]

    return Encoder(features, lambda texts: torch.tensor([[int(text)] for text in texts]), CPU)


def batches(numbers: list[int], size: int) -> Iterator[EvalBatch]:
    for start in range(0, len(numbers), size):
        part = numbers[start : start + size]
        images = torch.tensor(part, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
        yield EvalBatch(images, [f"t{n}" for n in part], [(n // 4, n % 4) for n in part])


def test_images_come_in_the_order_of_their_places() -> None:
    done: list[int] = []
    found = encode_images(batches([5, 3, 9, 0, 4], 2), encoder(), torch.zeros(3, 2, 2), done.append)
    assert found.features[:, 0].tolist() == [0, 3, 4, 5, 9]
    assert found.targets == ["t0", "t3", "t4", "t5", "t9"]
    assert found.places == [(0, 0), (0, 3), (1, 0), (1, 1), (2, 1)]
    assert done == [2, 4, 5]


def test_no_image_is_no_row() -> None:
    found = encode_images(iter(()), encoder(), torch.zeros(3, 2, 2))
    assert (len(found.features), found.targets, found.places) == (0, [], [])


def test_texts_go_through_in_batches_and_stay_in_order() -> None:
    calls: list[int] = []
    found = encode_texts([str(n) for n in (7, 1, 5, 3, 2)], encoder(calls), 2)
    assert found.tolist() == [[7, 14], [1, 2], [5, 10], [3, 6], [2, 4]]
    assert calls == [2, 2, 1]


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(MissingSetError, match=r"It is torn\."):
        encode_images(damaged(), encoder(), torch.zeros(3, 2, 2))


def damaged() -> Iterator[EvalBatch]:
    yield from batches([3], 1)
    raise MissingSetError("It is torn.")


def one_rank(rank: int, world: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    try:
        calls: list[int] = []
        mine = [0, 2, 4, 6, 8, 10, 1] if rank == 0 else [3]
        images = encode_images(batches(mine, 2), encoder(calls), torch.full((3, 2, 2), 99.0))
        steps = len(calls)
        texts = encode_texts(["7", "1", "5"], encoder(calls), 1)
        said = ""
        try:
            encode_images(damaged() if rank else batches([1, 2], 1), encoder(), torch.zeros(3, 2, 2))
        except MissingSetError as error:
            said = str(error)
        torch.save([images.features, images.targets, texts, steps, len(calls), said], folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=one_rank, args=(rank, 2, port, folder)) for rank in range(2)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join(60)
        assert one.exitcode == 0
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_ranks_have_the_same_features_as_one(two_ranks: list[Any]) -> None:
    alone = encode_images(batches([0, 2, 4, 6, 8, 10, 1, 3], 2), encoder(), torch.zeros(3, 2, 2))
    for features, targets, texts, *_ in two_ranks:
        assert torch.equal(features, alone.features)
        assert targets == alone.targets
        assert texts[:, 0].tolist() == [7, 1, 5]


def test_ranks_that_have_run_out_encode_along(two_ranks: list[Any]) -> None:
    """With ZeRO-3 every forward pass is a meeting of all ranks."""
    assert [rank[3] for rank in two_ranks] == [4, 4]
    assert two_ranks[0][4] == two_ranks[1][4]


def test_what_one_rank_cannot_read_is_told_by_both(two_ranks: list[Any]) -> None:
    assert [rank[5] for rank in two_ranks] == ["It is torn."] * 2
