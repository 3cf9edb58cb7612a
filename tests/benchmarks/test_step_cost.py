from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pgsclip.benchmarks.step_cost import StepCost, bench_step
from pgsclip.cli.figures import write_figures
from pgsclip.config.ratio import Ratio
from pgsclip.errors import DataError, MaskerError, ModelError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def costs() -> tuple[list[StepCost], list[str]]:
    told: list[str] = []
    maskers = [("none", Ratio(0, 0)), ("random", Ratio(0.5, 0.5)), ("pgs", Ratio(0.3, 0.5))]
    found = bench_step("pgsclip-smoke", maskers, batch_size=4, repeats=1, device=CPU, on_progress=told.append)
    return found, told


def test_variants_stand_beside_open_clip_s_own_step(costs: tuple[list[StepCost], list[str]]) -> None:
    kept = {cost.name: cost.kept for cost in costs[0]}
    ranged = kept.pop("pgs 0.3:0.5")
    assert 0.5 <= ranged <= 45 / 64
    assert kept == {"open_clip, no mask": 1, "open_clip, patch_dropout 0.5": 0.5, "none 0": 1, "random 0.5": 0.5}
    assert costs[0][0].ratio == 1
    assert all(cost.seconds > 0 for cost in costs[0])
    assert all(cost.ratio == pytest.approx(cost.seconds / costs[0][0].seconds) for cost in costs[0])


def test_the_floor_counts_the_arithmetic_of_what_is_seen(costs: tuple[list[StepCost], list[str]]) -> None:
    floor = {cost.name: cost.floor_seconds for cost in costs[0]}
    assert floor["open_clip, no mask"] == floor["none 0"]
    assert floor["open_clip, patch_dropout 0.5"] == floor["random 0.5"] < 0.8 * floor["none 0"]
    assert all(cost.times_floor == cost.seconds / cost.floor_seconds for cost in costs[0])


def test_variants_take_turns(costs: tuple[list[StepCost], list[str]]) -> None:
    assert [line.split(":")[0] for line in costs[1]] == ["round 0 of 1"] * 5 + ["round 1 of 1"] * 5
    first, second = ([line.split(": ")[1] for line in costs[1][start : start + 5]] for start in (0, 5))
    assert second == [*first[1:], first[0]], "each round begins with another"


def test_json_carries_the_same_figures(costs: tuple[list[StepCost], list[str]], tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    write_figures(figures, costs[0])
    assert json.loads(figures.read_text())[0].keys() == {
        *("name", "seconds", "ratio", "kept", "floor_seconds", "memory_gib", "times_floor", "mfu")
    }


def test_mistakes() -> None:
    with pytest.raises(ModelError, match="Unknown model 'ViT-B-17'"):
        bench_step("ViT-B-17", [], batch_size=2, repeats=1, device=CPU)
    with pytest.raises(MaskerError, match="does not choose a ratio per image"):
        bench_step("pgsclip-smoke", [("random", Ratio(0.3, 0.5))], batch_size=2, repeats=1, device=CPU)


def test_one_more_variant_reads_its_pairs(tmp_path: Path) -> None:
    costs = bench_step(
        "pgsclip-smoke", [("random", Ratio(0.5, 0.5))], batch_size=4, repeats=1, device=CPU, data="generated"
    )
    assert [cost.name for cost in costs][-2:] == ["random 0.5", "random 0.5, from the loader"]
    assert costs[-1].kept == 0.5
    with pytest.raises(DataError, match="nowhere"):
        bench_step("pgsclip-smoke", [], batch_size=2, repeats=1, device=CPU, data=str(tmp_path / "nowhere-{0..1}.tar"))
