from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgsclip.errors import RunError
from pgsclip.results.averages import compute_averages, pick_main_value
from pgsclip.results.result import (
    GALLERY,
    Result,
    hash_identity,
    load_result,
    load_results,
    pack_outcomes,
    save_result,
    unpack_outcomes,
)
from pgsclip.results.suites import PAPER


def make(family: str = "zeroshot", dataset: str = "pets", value: float = 0.5, **changes: Any) -> Result:
    content: dict[str, Any] = {
        "model": "m", "architecture": "a", "weights": "w", "dataset": dataset, "family": family, "settings": {"x": 1},
        "metrics": {"acc1": value}, "chance": {}, "samples": 4, "seconds": 1.0,
    }  # fmt: skip
    return Result(**content | changes)


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    one = make(dataset="sugar_crepe/add_att")
    path = save_result(one, tmp_path / "new")
    assert path.name == f"zeroshot-sugar_crepe-add_att-{one.key}.json"
    assert load_result(path) == one
    (tmp_path / f"new/zeroshot-pets-x{GALLERY}").write_text("{}")
    (tmp_path / "new/all.json").write_text("[]")
    assert load_results(tmp_path / "new") == [one]


def test_whatever_the_numbers_depend_on_changes_the_key() -> None:
    keys = {
        hash_identity("w", "d", "f", {"a": 1, "b": 2}), hash_identity("v", "d", "f", {"a": 1, "b": 2}),
        hash_identity("w", "e", "f", {"a": 1, "b": 2}), hash_identity("w", "d", "g", {"a": 1, "b": 2}),
        hash_identity("w", "d", "f", {"a": 1, "b": 3}),
    }  # fmt: skip
    assert len(keys) == 5
    assert hash_identity("w", "d", "f", {"b": 2, "a": 1}) in keys


def test_damage_and_places_that_cannot_be_written_are_sentences(tmp_path: Path) -> None:
    broken = tmp_path / "zeroshot-pets-1.json"
    broken.write_text("{")
    with pytest.raises(RunError, match=r"is not a result of pgsclip eval .* Delete it to have it made again"):
        load_result(broken)
    with pytest.raises(RunError, match=r"cannot be read: No such file"):
        load_result(tmp_path / "gone.json")
    with pytest.raises(RunError, match=r"The result cannot be written to .* Give another --out"):
        save_result(make(), broken)


def test_averages_are_formed_when_all_their_sets_are_there() -> None:
    every = [make("robustness", name, 0.1 * i) for i, name in enumerate(PAPER["robustness"])]
    assert compute_averages(every) == pytest.approx({"robustness average": 0.25, "robustness out of distribution": 0.3})
    assert compute_averages(every[:-1]) == {}
    assert compute_averages(every[1:]) == pytest.approx({"robustness out of distribution": 0.3})


def test_a_set_of_several_labels_is_told_by_its_precision() -> None:
    assert pick_main_value(make(metrics={"mean_average_precision": 0.7})) == 0.7


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 31, 1000])
def test_outcomes_are_packed_as_numpy_packs_bits(count: int) -> None:
    bits = np.random.default_rng(count).random(count) < 0.5
    packed = pack_outcomes(bits.tolist())
    assert packed == base64.b64encode(np.packbits(bits).tobytes()).decode()
    assert unpack_outcomes(packed, count) == bits.tolist()
