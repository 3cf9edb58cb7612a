from __future__ import annotations

from collections import Counter

import pytest

from pgsclip.data.captions import caption_parts, part_or_whole


@pytest.mark.parametrize(
    ("caption", "parts"),
    [
        ("Apple Pie (dessert, food, pie)", ["Apple Pie", "dessert", "food", "pie"]),
        ("A cat. It sleeps! Does it?", ["A cat", "It sleeps", "Does it"]),
        ("AIGA Symbol Signs. EPS (symbol)", ["AIGA Symbol Signs", "EPS", "symbol"]),
        ("made at 23:31 with 3.5 mm", ["made at 23:31 with 3.5 mm"]),
        ("one\ntwo; three | four", ["one", "two", "three", "four"]),
        ("ein Mädchen, 女の子", ["ein Mädchen", "女の子"]),
        ("a dog on a beach", ["a dog on a beach"]),
        ("(...)", ["(...)"]),
        ("", [""]),
    ],
)
def test_parts_of_a_caption(caption: str, parts: list[str]) -> None:
    assert caption_parts(caption) == parts


def test_each_part_is_as_likely_as_the_others() -> None:
    drawn = Counter(part_or_whole("star (shape, red)", 0.75, seed) for seed in range(4000))
    assert set(drawn) == {"star (shape, red)", "star", "shape", "red"}
    assert all(abs(count - 1000) < 120 for count in drawn.values())  # four standard deviations are 110


@pytest.mark.parametrize(("share", "whole"), [(0.0, True), (1.0, False)])
def test_share_at_its_ends(share: float, whole: bool) -> None:
    assert all((part_or_whole("a, b", share, seed) == "a, b") == whole for seed in range(50))


def test_seed_decides() -> None:
    once = [part_or_whole("a, b, c", 0.5, seed) for seed in range(20)]
    assert once == [part_or_whole("a, b, c", 0.5, seed) for seed in range(20)]
