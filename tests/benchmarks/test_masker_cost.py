from __future__ import annotations

import pytest
import torch

from pgsclip.benchmarks.masker_cost import STRAIGHTFORWARD, bench_maskers
from pgsclip.errors import MaskerError
from pgsclip.masking.masker_syntax import parse_masker

SMALL = {"image_size": 32, "patch_size": 8, "width": 6, "batch_size": 2, "ratio": 0.5, "repeats": 1}


def test_maskers_stand_beside_the_straightforward_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsclip.benchmarks.masker_cost.matrix_rate", lambda *_: 1e9)
    monkeypatch.setattr("pgsclip.benchmarks.masker_cost.copy_rate", lambda *_: 1e9)
    handles = [parse_masker(text) for text in ("random", "pgs", "pgs use_embeddings=false")]
    costs = bench_maskers(handles, device=torch.device("cpu"), **SMALL)
    assert [cost.name for cost in costs] == [STRAIGHTFORWARD, "random", "pgs", "pgs use_embeddings=false"]
    assert costs[0].ratio == 1
    assert costs[0].floor_milliseconds is None
    assert all(cost.ratio == pytest.approx(cost.milliseconds / costs[0].milliseconds) for cost in costs)
    # 16 landmarks and 1 candidate against 16 patches, of 4 x 4 x 3 means and 6 numbers; 3 x 32 x 32 and 16 x 6 floats
    assert costs[2].floor_milliseconds == pytest.approx(1e-6 * (2 * 17 * 16 * (48 + 6) + 4 * (3072 + 96)))
    assert costs[3].floor_milliseconds == pytest.approx(1e-6 * (2 * 17 * 16 * 48 + 4 * 3072))


def test_pictures_that_have_no_grid_are_refused() -> None:
    with pytest.raises(MaskerError, match="Pictures of 32 pixels cannot be cut into patches of 5"):
        bench_maskers([], device=torch.device("cpu"), **{**SMALL, "patch_size": 5})
