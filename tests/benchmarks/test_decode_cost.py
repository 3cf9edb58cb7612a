from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pgsclip.benchmarks.decode_cost import bench_data
from pgsclip.errors import DataError


def test_ours_stands_beside_open_clip_s() -> None:
    threads = torch.get_num_threads()
    costs = bench_data("generated", image_size=32, count=2, repeats=2)
    assert [cost.name for cost in costs] == ["open_clip", "pgsclip", "decoding alone"]
    assert costs[0].times_open_clip == 1
    for cost in costs:
        assert cost.times_open_clip == pytest.approx(costs[0].microseconds / cost.microseconds)
        assert cost.images_per_second == pytest.approx(1e6 / cost.microseconds)
    assert torch.get_num_threads() == threads


def test_own_data_is_measured_and_what_cannot_be_read_is_left_out(
    tmp_path: Path, write_tar: Callable[..., str], photo: Callable[..., bytes]
) -> None:
    url = write_tar("a.tar", [("a.jpg", b"none"), ("a.txt", b"x"), ("b.png", photo()), ("b.txt", b"x")])
    assert len(bench_data(url, image_size=8, count=9, repeats=1)) == 3
    broken = write_tar("a.tar", [("a.jpg", b"none"), ("a.txt", b"x")])
    with pytest.raises(DataError, match="There is no readable image in "):
        bench_data(broken, image_size=8, count=9, repeats=1)
