"""Which images show the same picture, though they were scaled or compressed in another way.

An image's fingerprint is 64 bits that tell its shapes and 192 bytes that tell its colours. The bits are the perceptual
hash of the DCT (E. Klinger and D. Starkweather, pHash; as in the well-known description by N. Krawetz, "Looks Like It",
hackerfactor.com, 2011): the 8 x 8 lowest frequencies of the grey image of 32 x 32, each against their median. The bytes
are its mean colours on a grid of 8 x 8, as the bits alone take flat pictures, and whatever is small on white, for the
same, and do not see colour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pgsclip import opencv as cv2

BITS = 2
"""Alike: at most so many of the 64 bits differ ..."""
LEVELS = 10
"""... and no mean colour differs by more than this, of 255."""
LENGTH = 8 + 8 * 8 * 3
_MARGIN = 5.0
"""A frequency counts from so far above the median; a symmetric drawing lacks many, and noise would turn their bits."""
_BANDS = 3
"""Bits are cut into one band more than may differ, so that alike images agree in at least one (pigeonhole)."""
_SOME = 2**19
"""Fingerprints compared at once."""
_ONES = np.array([number.bit_count() for number in range(256)], np.uint8)

Fingerprint = UInt8[np.ndarray, " 200"]
Fingerprints = UInt8[np.ndarray, "_ 200"]


def fingerprint(image: Image.Image) -> Fingerprint:
    """Fingerprint an upright RGB image."""
    small: NDArray[np.uint8] = cv2.resize(np.asarray(image), (32, 32), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(grey)[:8, :8].ravel()
    bits = np.packbits(low > np.median(low[1:]) + _MARGIN)
    colours = cv2.resize(small, (8, 8), interpolation=cv2.INTER_AREA)
    return np.concatenate([bits, np.asarray(colours, np.uint8).ravel()])


def similar_pairs(fingerprints: Fingerprints) -> Int[np.ndarray, "P 2"]:
    """Find every pair of numbers, the smaller first, whose fingerprints are alike but not the same."""
    if len(fingerprints) < 2:
        return np.zeros((0, 2), np.int64)
    hashes = fingerprints[:, :8].copy().view(">u8").ravel().astype(np.uint64)
    width = -(-64 // _BANDS)
    found = [np.zeros((0, 2), np.int64)]
    for band in range(_BANDS):
        part = (hashes >> np.uint64(band * width)) & np.uint64(2**width - 1)
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=~part[order[:1]]))
        lengths = np.diff(starts, append=len(order))
        for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True):
            found += _pairs_within(order[start : start + length], hashes, fingerprints)
    return np.unique(np.concatenate(found), axis=0)


def duplicate_groups(fingerprints: Fingerprints) -> list[Int[np.ndarray, " G"]]:
    """Group the numbers of images that are the same or alike, directly or through others; the largest group first."""
    distinct, member = unique(fingerprints)
    links = similar_pairs(distinct)
    graph = coo_matrix((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(len(distinct),) * 2)
    label = connected_components(graph, directed=False)[1][member] if len(distinct) else member
    order = np.argsort(label, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted((one for one in found if len(one) > 1), key=lambda one: (-len(one), int(one[0])))


def find_matches(of: Fingerprints, among: Fingerprints) -> list[Int[np.ndarray, " M"]]:
    """For each image of `of`, find the numbers of those of `among` that are the same or alike."""
    distinct, member = unique(np.concatenate([of, among]))
    near: list[list[int]] = [[number] for number in range(len(distinct))]
    for one, other in similar_pairs(distinct).tolist():
        near[one].append(other)
        near[other].append(one)
    holders: dict[int, list[int]] = {}
    for number, distinct_number in enumerate(member[len(of) :].tolist()):
        holders.setdefault(distinct_number, []).append(number)
    return [
        np.array(sorted(i for one in near[mine] for i in holders.get(one, [])), np.int64)
        for mine in member[: len(of)].tolist()
    ]


def unique(fingerprints: Fingerprints) -> tuple[Fingerprints, Int[np.ndarray, " N"]]:
    """Reduce fingerprints to the distinct ones; also give each image the number of its own."""
    whole = np.ascontiguousarray(fingerprints).view(np.dtype((np.void, LENGTH))).ravel()
    _, first, member = np.unique(whole, return_index=True, return_inverse=True)
    return fingerprints[first], member.reshape(-1).astype(np.int64)


def _pairs_within(run: NDArray[Any], hashes: NDArray[np.uint64], fingerprints: Fingerprints) -> list[NDArray[np.int64]]:
    """Find similar pairs among the images `run`, in chunks."""
    colours = fingerprints[run, 8:].astype(np.int16)
    mine = hashes[run]
    rows = max(1, _SOME // (len(run)))
    found = []
    for start in range(0, len(run), rows):
        different = mine[start : start + rows, None] ^ mine[None]
        left, right = np.nonzero(_ONES[different[..., None].view(np.uint8)].sum(-1) <= BITS)
        left += start
        keep = left < right
        left, right = left[keep], right[keep]
        keep = np.abs(colours[left] - colours[right]).max(1, initial=0) <= LEVELS
        pair = np.stack([run[left[keep]], run[right[keep]]], 1)
        found.append(np.sort(pair, 1).astype(np.int64))
    return found
