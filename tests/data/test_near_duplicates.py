from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pgsclip.data.near_duplicates import (
    BITS,
    LENGTH,
    LEVELS,
    duplicate_groups,
    find_matches,
    fingerprint,
    similar_pairs,
    unique,
)

Photo = Callable[..., bytes]


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def by_hand(prints: np.ndarray) -> list[list[int]]:
    """All pairs, bit by bit."""
    found = []
    for one in range(len(prints)):
        for other in range(one + 1, len(prints)):
            a, b = (int.from_bytes(prints[number, :8].tobytes()) for number in (one, other))
            far = max(abs(int(x) - int(y)) for x, y in zip(prints[one, 8:], prints[other, 8:], strict=True))
            if (a ^ b).bit_count() <= BITS and far <= LEVELS:
                found.append([one, other])
    return found


def test_every_pair_within_the_distances_is_found_and_no_other() -> None:
    chance = np.random.default_rng(0)
    prints = np.zeros((120, LENGTH), np.uint8)
    prints[:, :8] = chance.integers(0, 256, (6, 8), dtype=np.uint8).repeat(20, 0)
    prints[:, 8:] = 100
    for row in prints:  # up to four bits turned, and colours moved to both sides of the limit
        for bit in chance.integers(0, 64, chance.integers(0, 5)):
            row[bit // 8] ^= 1 << (bit % 8)
        row[chance.integers(8, LENGTH)] += chance.integers(0, 14)
    prints = unique(prints)[0]
    expected = by_hand(prints)
    assert len(expected) > 50
    assert similar_pairs(prints).tolist() == expected


@pytest.mark.parametrize(("side", "kind", "how"), [(64, "jpeg", {"quality": 90}), (40, "png", {}), (96, "webp", {})])
def test_a_copy_of_another_size_and_format_is_alike_and_another_picture_is_not(
    picture: Photo, side: int, kind: str, how: dict[str, int]
) -> None:
    prints = [fingerprint(opened(picture(number))) for number in range(10)]
    prints += [fingerprint(opened(picture(number, kind, side, **how))) for number in range(10)]
    found = duplicate_groups(np.stack(prints))
    assert [group.tolist() for group in found] == [[number, number + 10] for number in range(10)]


def test_colour_and_place_tell_flat_and_nearly_empty_pictures_apart() -> None:
    flat = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "white")]
    for corner in ((4, 4), (20, 20)):
        flat.append(Image.new("RGB", (32, 32), "white"))
        flat[-1].paste("black", (*corner, corner[0] + 5, corner[1] + 5))
    prints = np.stack([fingerprint(image) for image in flat])
    assert duplicate_groups(prints) == []
    assert [g.tolist() for g in duplicate_groups(np.concatenate([prints, prints[:1]]))] == [[0, 5]]


def test_groups_join_through_others_and_the_largest_goes_first() -> None:
    prints = np.zeros((6, LENGTH), np.uint8)
    prints[2:5, :8] = 255
    prints[3, 8] = LEVELS
    prints[4, 8] = 2 * LEVELS
    prints[5, 8] = 200
    assert [group.tolist() for group in duplicate_groups(prints)] == [[2, 3, 4], [0, 1]]


def test_counterparts_are_direct_and_only_from_the_other_side() -> None:
    mine = np.zeros((3, LENGTH), np.uint8)
    mine[2, 8] = 100
    among = np.zeros((4, LENGTH), np.uint8)
    among[:, 8] = [0, LEVELS, 2 * LEVELS, 0]
    assert [numbers.tolist() for numbers in find_matches(mine, among)] == [[0, 1, 3], [0, 1, 3], []]
    assert [numbers.tolist() for numbers in find_matches(among, mine)] == [[0, 1], [0, 1], [], [0, 1]]
    assert [n.tolist() for n in find_matches(mine, among[:0])] == [[], [], []]


def test_nothing_has_no_groups() -> None:
    nothing = np.zeros((0, LENGTH), np.uint8)
    assert (duplicate_groups(nothing), similar_pairs(nothing).tolist(), find_matches(nothing, nothing)) == ([], [], [])
