"""Photographs with a known object, for `pgsclip bench masks --images FOLDER`; needs scikit-image and scikit-learn.

    python examples/known_objects.py photos --count 80
    pgsclip bench masks --images photos

Things are cut out of the photographs that scikit-image and scikit-learn ship, and laid on others. Grass, gravel and
brick are grey photographs that are given a hue; the sky and the table are cut out of colour photographs. Cuts are
ellipses and polygons, so their outlines are a little wrong, as people's outlines are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

try:
    import skimage
except ModuleNotFoundError:
    sys.exit("The photographs are those of scikit-image: python -m pip install scikit-image")

SHIPPED = Path(skimage.__file__).parent / "data"
TINTS = {"grass": (0.62, 0.85, 0.35), "gravel": (0.9, 0.86, 0.8), "brick": (1.25, 0.72, 0.55)}
"""Factor per channel for the grey photographs."""
GROUNDS = ("grass", "gravel", "brick", "sky", "table")
OBJECTS = ("cat", "cup", "flower", "motorcycle", "pagoda", "horse", "astronaut", "rocket")
Array = NDArray[np.uint8]
Draw = Callable[[Array], object]
"""Sets the pixels of an object to 1."""


class Photograph(NamedTuple):
    name: str
    image: Array
    """(S, S, 3)."""
    mask: NDArray[np.bool_]
    """(S, S)."""


def photographs(count: int, side: int = 224, seed: int = 0) -> list[Photograph]:
    """Every object on every ground in turn, at a size and a place of its own."""
    rng = np.random.default_rng(seed)
    pairs = [(thing, ground) for ground in GROUNDS for thing in OBJECTS]
    order = rng.permutation(len(pairs))
    return [_composed(*pairs[order[number % len(pairs)]], side, rng) for number in range(count)]


def _composed(thing: str, ground: str, side: int, rng: np.random.Generator) -> Photograph:
    pixels, alpha = cut_out(thing)
    scale = side * rng.uniform(0.45, 0.85) / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        pixels, alpha = pixels[:, ::-1], alpha[:, ::-1]
    image = _crop(ground_of(ground), side, rng).astype(np.float32)
    top, left = (int(rng.integers(0, side - length + 1)) for length in pixels.shape[:2])
    place = (slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1]))
    image[place] = image[place] * (1 - alpha[..., None]) + pixels * alpha[..., None]
    mask = np.zeros((side, side), bool)
    mask[place] = alpha > 0.5
    return Photograph(f"{thing} on {ground}", image.round().astype(np.uint8), mask)


def _crop(image: Array, side: int, rng: np.random.Generator) -> Array:
    """A square of between half of the picture and all of it."""
    length = int(min(image.shape[:2]) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, extent - length + 1)) for extent in image.shape[:2])
    return cv2.resize(image[top : top + length, left : left + length], (side, side), interpolation=cv2.INTER_AREA)


@cache
def ground_of(name: str) -> Array:
    """A photograph without an object."""
    if name == "sky":
        return _sample(0)[:240, 260:]
    if name == "table":
        return _read("coffee.png")[300:, 480:]
    grey = _read(f"{name}.png").astype(np.float32)
    return (grey * TINTS[name]).clip(0, 255).astype(np.uint8)


@cache
def cut_out(name: str) -> tuple[Array, NDArray[np.bool_]]:
    """The pixels of an object and where it is, cropped to it."""
    if name == "cat":
        return _within(_read("chelsea.png"), _ellipse(212, 150, 148, 150))
    if name == "cup":
        return _within(_read("coffee.png"), _ellipse(278, 209, 198, 195))
    if name == "flower":
        return _within(_sample(1), _ellipse(288, 219, 136, 134))
    if name == "motorcycle":
        line = [(118, 150), (150, 135), (240, 160), (330, 185), (420, 150), (470, 60), (500, 55), (490, 100)]
        line += [(555, 120), (560, 170), (640, 270), (645, 300), (680, 350), (685, 420), (650, 458), (600, 445)]
        line += [(500, 385), (430, 375), (345, 430), (250, 415), (190, 410), (135, 350), (125, 280), (170, 235)]
        return _within(_read("motorcycle_left.png"), _polygon(line))
    if name == "pagoda":
        line = [(278, 30), (290, 30), (298, 70), (350, 130), (320, 170), (345, 235), (340, 300), (355, 330)]
        line += [(365, 400), (240, 415), (200, 330), (215, 260), (205, 170), (215, 130), (270, 75)]
        return _within(_sample(0), _polygon(line))
    if name == "horse":
        silhouette = cv2.cvtColor(_read("horse.png"), cv2.COLOR_RGB2GRAY) < 128
        fur = cv2.resize(_read("chelsea.png")[60:180, 60:220], silhouette.shape[::-1], interpolation=cv2.INTER_AREA)
        return _within(fur, lambda mask: mask.__setitem__(silhouette, 1))
    if name == "astronaut":
        line = [(150, 60), (180, 10), (260, 10), (300, 60), (290, 130), (305, 230), (370, 300), (400, 511)]
        line += [(30, 511), (40, 330), (110, 290), (120, 190), (180, 150)]
        return _within(_read("astronaut.png"), _polygon(line))
    return _within(_read("astronaut.png"), _ellipse(414, 105, 62, 110))


def _within(image: Array, draw: Draw) -> tuple[Array, NDArray[np.bool_]]:
    mask = np.zeros(image.shape[:2], np.uint8)
    draw(mask)
    down, across = np.nonzero(mask)
    box = (slice(down.min(), down.max() + 1), slice(across.min(), across.max() + 1))
    return image[box], mask[box] > 0


def _ellipse(x: int, y: int, a: int, b: int) -> Draw:
    return lambda mask: cv2.ellipse(mask, (x, y), (a, b), 0, 0, 360, 1, -1)


def _polygon(points: list[tuple[int, int]]) -> Draw:
    return lambda mask: cv2.fillPoly(mask, [np.array(points, np.int32)], 1)


def _read(name: str) -> Array:
    image = cv2.imread(str(SHIPPED / name), cv2.IMREAD_COLOR)
    assert image is not None, name
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _sample(number: int) -> Array:
    return np.ascontiguousarray(load_sample_images().images[number])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write photographs with known objects, each with its mask.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--side", type=int, default=224)
    given = parser.parse_args()
    write(given.folder, photographs(given.count, given.side))


def write(folder: Path, found: list[Photograph]) -> None:
    """`folder/GROUND/0007-cat.png` and its mask `0007-cat_mask.png`; the ground becomes the group in the table."""
    for number, photograph in enumerate(found):
        thing, _, ground = photograph.name.partition(" on ")
        place = folder / ground
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph.image).save(place / f"{number:04d}-{thing}.png")
        Image.fromarray(photograph.mask).save(place / f"{number:04d}-{thing}_mask.png")


if __name__ == "__main__":
    main()
