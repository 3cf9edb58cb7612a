"""Built-in pairs: coloured shapes on textured backgrounds, with captions that name colour, shape, size and place.

Each scene is a function of (stream, index) alone; its object is known to the pixel, so masks can be judged on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from PIL import Image

from pgsclip import opencv as cv2
from pgsclip.data.source import Raw, WorkerPass
from pgsclip.seeding import derive

COLOURS = {
    "red": (205, 38, 38),
    "green": (34, 139, 34),
    "blue": (35, 65, 210),
    "yellow": (238, 210, 25),
    "purple": (128, 30, 160),
    "orange": (245, 130, 20),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
SIZES = {"small": 0.13, "medium-sized": 0.19, "large": 0.26}
"""Radius as a share of the image's side."""
PLACES = {
    "in the top left corner": (0.3, 0.3),
    "at the top": (0.3, 0.5),
    "in the top right corner": (0.3, 0.7),
    "on the left": (0.5, 0.3),
    "in the centre": (0.5, 0.5),
    "on the right": (0.5, 0.7),
    "in the bottom left corner": (0.7, 0.3),
    "at the bottom": (0.7, 0.5),
    "in the bottom right corner": (0.7, 0.7),
}
"""Centre as shares of height and width."""
TEXTURES = ("plain", "striped", "checkered", "dotted", "grainy", "shaded")
TEMPLATES = ("a {c}", "a small {c}", "a large {c}")
TRAINING, HELD_OUT = "training", "held-out"
SIDE = 80
_TRAINING_SCENES = 100_000


@dataclass(frozen=True)
class Scene:
    """One picture and everything that is true about it."""

    image: UInt8[np.ndarray, "S S 3"]
    mask: Bool[np.ndarray, "S S"]
    """Where the object is."""
    caption: str
    colour: str
    shape: str

    @property
    def label(self) -> int:
        """Number of the object's class among `classes()`."""
        return classes().index(f"{self.colour} {self.shape}")


def classes() -> list[str]:
    """`red circle` … `black ring`: what zero-shot classification tells apart."""
    return [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]


def scene(stream: str, index: int, side: int = SIDE) -> Scene:
    """The scene with this number; streams such as `training` and `held-out` share none."""
    chance = random.Random(derive("scene", stream, index))
    colour, shape = chance.choice(list(COLOURS)), chance.choice(SHAPES)
    size, place, texture = chance.choice(list(SIZES)), chance.choice(list(PLACES)), chance.choice(TEXTURES)
    image = _background(texture, side, chance)
    mask = np.zeros((side, side), np.uint8)
    down, across = (share + chance.uniform(-0.04, 0.04) for share in PLACES[place])
    radius = SIZES[size] * chance.uniform(0.9, 1.1) * side
    _draw(mask, shape, (across * side, down * side), radius, chance.uniform(-0.2, 0.2))
    paint = np.clip(np.array(COLOURS[colour]) + [chance.randint(-12, 12) for _ in range(3)], 0, 255)
    image[mask > 0] = paint
    return Scene(image, mask > 0, _caption(size, colour, shape, place, texture, chance), colour, shape)


class GeneratedSource:
    """A stream of scenes as training data; needs no file."""

    shards: int | None = None
    shuffled = True

    def __init__(self, stream: str = TRAINING, size: int = _TRAINING_SCENES) -> None:
        self.stream = stream
        self.size = size
        self.description = f"{size:,} generated scenes"

    def read(self, work: WorkerPass, skip: int = 0) -> Iterator[Raw]:
        """Scenes of one pass of one loader worker, in an order of their own."""
        for index in work.share(self.size)[skip:]:
            yield self._raw(index)

    def read_all(self) -> Iterator[Raw]:
        """Every scene once, in order."""
        for index in range(self.size):
            yield self._raw(index)

    def _raw(self, index: int) -> Raw:
        found = scene(self.stream, index)
        return Raw(self.stream, f"{index:08d}", found.caption, lambda: Image.fromarray(found.image))


def _caption(size: str, colour: str, shape: str, place: str, texture: str, chance: random.Random) -> str:
    """What, and each of size, place and background most of the time, as people would leave things out."""
    words = ["a", size, colour, shape] if chance.random() < 0.8 else ["a", colour, shape]
    if chance.random() < 0.7:
        words.append(place)
    if chance.random() < 0.5:
        words.append(f"on a {texture} background")
    return " ".join(words)


def _background(texture: str, side: int, chance: random.Random) -> NDArray[np.uint8]:
    first, second = (np.array([chance.randint(90, 200) for _ in range(3)], np.float32) for _ in range(2))
    second = 0.6 * first + 0.4 * second  # two tones of one wall, never as strong as the object
    down, across = np.mgrid[0:side, 0:side].astype(np.float32)
    period = chance.uniform(6, 14)
    if texture == "striped":
        angle = chance.uniform(0, np.pi)
        share = ((down * np.cos(angle) + across * np.sin(angle)) % period > period / 2).astype(np.float32)
    elif texture == "checkered":
        share = ((down // period + across // period) % 2).astype(np.float32)
    elif texture == "dotted":
        share = ((down % period - period / 2) ** 2 + (across % period - period / 2) ** 2 < (period / 4) ** 2) * 1.0
    elif texture == "grainy":
        share = np.random.default_rng(chance.getrandbits(32)).random((side, side), np.float32)
    elif texture == "shaded":
        share = (down * chance.random() + across * chance.random()) / (2 * side)
    else:
        share = np.zeros((side, side), np.float32)
    share = share[..., None]
    blended: NDArray[np.uint8] = np.clip(first * (1 - share) + second * share, 0, 255).astype(np.uint8)
    return blended


def _draw(mask: NDArray[np.uint8], shape: str, centre: tuple[float, float], radius: float, turn: float) -> None:
    x, y = round(centre[0]), round(centre[1])
    if shape in ("circle", "ring"):
        cv2.circle(mask, (x, y), round(radius), 255, -1)
        if shape == "ring":
            cv2.circle(mask, (x, y), round(radius * 0.55), 0, -1)
        return
    if shape == "cross":
        arm = 0.36
        corners = [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm)]
        corners += [(-u, -v) for u, v in corners]
    else:
        count, inner = {"square": (4, 1.0), "triangle": (3, 1.0), "star": (10, 0.42)}[shape]
        steps = np.arange(count) * 2 * np.pi / count + (np.pi / 4 if shape == "square" else 0)
        lengths = np.where(np.arange(count) % 2 == 0, 1.0, inner)
        corners = list(zip(lengths * np.sin(steps), -lengths * np.cos(steps), strict=True))
    turned = [(u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)) for u, v in corners]
    points = np.array([(centre[0] + radius * u, centre[1] + radius * v) for u, v in turned])
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255)
