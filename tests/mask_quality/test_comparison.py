from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

import pgsclip
from pgsclip.config.ratio import Ratio
from pgsclip.errors import MaskerError
from pgsclip.mask_quality.comparison import MaskerRow, compare_maskers, to_json
from pgsclip.mask_quality.examples import Example, draw_examples
from pgsclip.masking.masker_syntax import parse_masker


@pytest.fixture(scope="module")
def scenes() -> list[Example]:
    return draw_examples(60, 224)


@pytest.fixture(scope="module")
def measure() -> Callable[..., dict[tuple[str, str], MaskerRow]]:
    def call(examples: list[Example], *names: str, ratios: tuple[str, ...] = ("0.5", "0.7")) -> dict:
        shares = [Ratio.parse(ratio) for ratio in ratios]
        rows = compare_maskers(examples, [parse_masker(name) for name in names], shares, patch_size=16)
        return {(row.masker, row.ratio): row for row in rows}

    return call


def test_objects_stay_on_hard_scenes(scenes: list[Example], measure: Callable[..., dict]) -> None:
    rows = measure(scenes, "random", "pgs", "salient")
    assert abs(rows["random", "0.5"].recall.value - 0.5) < 0.03
    assert rows["pgs", "0.5"].recall.low > 0.85
    assert rows["salient", "0.5"].recall.low > 0.98
    assert rows["salient", "0.7"].recall.low > 0.97
    assert rows["salient", "0.7"].recall.low > rows["pgs", "0.7"].recall.value
    assert rows["salient", "0.5"].overlap.value < rows["pgs", "0.5"].overlap.value + 0.02


def test_objects_stay_on_photographs(photographs: list[Example], measure: Callable[..., dict]) -> None:
    rows = measure(photographs, "random", "pgs", "pgs edges=false", "pgs transport=false", "salient")
    assert abs(rows["random", "0.5"].recall.value - 0.5) < 0.03
    assert rows["pgs", "0.5"].recall.low > 0.85
    assert rows["salient", "0.5"].recall.low > 0.97
    assert rows["salient", "0.7"].recall.low > 0.85
    for ratio in ("0.5", "0.7"):
        ours, pgs = rows["salient", ratio].recall.value, rows["pgs", ratio].recall.value
        assert ours > pgs + 0.03
        assert pgs > rows["pgs edges=false", ratio].recall.value + 0.05
        assert pgs > rows["pgs transport=false", ratio].recall.value
    assert rows["salient", "0.5"].overlap.value < rows["pgs", "0.5"].overlap.value


def test_grey_photographs_have_objects_too(photographs: list[Example], measure: Callable[..., dict]) -> None:
    """Without hue an object differs from gravel in brightness and texture only."""
    grey = [one._replace(pixels=one.pixels.mean(dim=0, keepdim=True).expand(3, -1, -1)) for one in photographs]
    assert measure(grey, "salient", ratios=("0.5",))["salient", "0.5"].recall.low > 0.85


def test_none_keeps_everything_and_comes_once(scenes: list[Example], measure: Callable[..., dict]) -> None:
    [(key, row)] = measure(scenes[:8], "none").items()
    assert key == ("none", "0")
    assert (row.recall.value, row.removed.value, row.overlap.value, row.kept.value, row.kept_spread) == (1, 0, 1, 1, 0)
    assert row.edges.value == pytest.approx(1)


def test_a_range_spreads_the_kept_share(scenes: list[Example], measure: Callable[..., dict]) -> None:
    for name in ("pgs", "salient", "cluster"):
        row = measure(scenes, name, ratios=("0.3:0.8",))[name, "0.3:0.8"]
        assert row.kept_spread > 0.02
        assert 0.2 < row.kept.value < 0.7
    fixed = measure(scenes, "salient", ratios=("0.5",))["salient", "0.5"]
    assert (fixed.kept_spread, fixed.kept.value) == (0, 0.5)


def test_groups_are_kinds_and_batches_do_not_matter(
    scenes: list[Example], measure: Callable[..., dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = measure(scenes[:20], "salient noise=0 border_share=1", ratios=("0.7",)).popitem()[1]
    assert list(row.recall_by_group) == ["textured", "low-contrast", "small", "several"]
    mean = sum(found.value for found in row.recall_by_group.values()) / 4
    assert row.recall.value == pytest.approx(mean)
    monkeypatch.setattr("pgsclip.mask_quality.comparison._BATCH", 7)
    again = measure(scenes[:20], "salient noise=0 border_share=1", ratios=("0.7",)).popitem()[1]
    assert again.recall == row.recall
    assert again.removed == row.removed


def test_global_chance_is_left_alone_and_seeds_repeat(scenes: list[Example]) -> None:
    state = torch.get_rng_state()
    first, again, other = (
        compare_maskers(scenes[:8], [pgsclip.masker("random")], [Ratio(0.5, 0.5)], patch_size=16, seed=seed)[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert first.recall == again.recall != other.recall
    assert first.milliseconds > 0


def test_figures_become_json(scenes: list[Example]) -> None:
    rows = compare_maskers(scenes[:4], [pgsclip.masker("random")], [Ratio(0.5, 0.5)], patch_size=16)
    [row] = json.loads(json.dumps(to_json(rows), allow_nan=False))
    assert row["recall"] == {"mean": rows[0].recall.value, "low": rows[0].recall.low, "high": rows[0].recall.high}
    assert set(row) == {
        "masker",
        "ratio",
        "recall",
        "removed",
        "edges",
        "overlap",
        "kept",
        "kept_spread",
        "milliseconds",
        "recall_by_group",
    }


def test_progress_is_told(scenes: list[Example]) -> None:
    told: list[str] = []
    compare_maskers(scenes[:2], [pgsclip.masker("random")], [Ratio(0.5, 0.5)], patch_size=16, on_progress=told.append)
    assert told == ["pictures 0 to 2 of 2: random 0.5"]


def test_mistakes_are_sentences(scenes: list[Example]) -> None:
    random = [pgsclip.masker("random")]
    with pytest.raises(MaskerError, match="Pictures of 224 x 224 pixels cannot be cut into patches of 15; give an"):
        compare_maskers(scenes[:2], random, [Ratio(0.5, 0.5)], patch_size=15)
    with pytest.raises(MaskerError, match="'random' does not choose a ratio per image"):
        compare_maskers(scenes[:2], random, [Ratio(0.3, 0.5)], patch_size=16)
