"""Scenes that are hard to mask well, with the object known to the pixel: what maskers are measured on.

`generated.py` draws an object that stands out. Here the background is as strong as the object (stripes, checks, dots,
bricks, leaves, clouds, grain), or the object hardly differs from it, or is small, or there are several. Light falls
unevenly on everything and a camera's noise lies over it. Each scene is a function of (kind, index, side) alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from pgsclip import opencv as cv2
from pgsclip.seeding import derive

KINDS = ("textured", "low-contrast", "small", "several")
PATTERNS = ("stripes", "checks", "dots", "bricks", "leaves", "clouds", "grain")
_CONTRAST = 0.28
"""Distance of a pattern's two tones, as a share of black to white."""
_APART = {"low-contrast": (0.14, 0.24)}
"""Distance in colour between object and background, as a share of black to white; others take `_CLEAR`."""
_CLEAR = (0.3, 0.6)
_NOISE = 0.015
Rng = np.random.Generator
Pixels = Float[np.ndarray, "S S 3"]
Field = Float[np.ndarray, "S S"]


@dataclass(frozen=True)
class BenchmarkScene:
    """One picture whose object is known."""

    image: UInt8[np.ndarray, "S S 3"]
    mask: Bool[np.ndarray, "S S"]
    """Where the object is, or the objects."""
    kind: str
    """One of `KINDS`."""
    pattern: str
    """Of the background, one of `PATTERNS`."""


def benchmark_scene(kind: str, index: int, side: int = 224) -> BenchmarkScene:
    """The scene of this kind with this number."""
    rng = np.random.default_rng(derive("hard scene", kind, index))
    mask = _objects(kind, side, rng)
    pattern = str(rng.choice(PATTERNS))
    ground = rng.uniform(0.25, 0.75, 3)
    behind = _painted(ground, pattern, _CONTRAST * rng.uniform(0.7, 1.3), side, rng)
    paint = _away_from(ground, rng.uniform(*_APART.get(kind, _CLEAR)), rng)
    before = _painted(paint, str(rng.choice(PATTERNS)), _CONTRAST * rng.uniform(0.2, 1.0), side, rng)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side / 320)[..., None]
    picture = (before * alpha + behind * (1 - alpha)) * _light(side, rng) + rng.normal(0, _NOISE, (side, side, 3))
    return BenchmarkScene((picture.clip(0, 1) * 255).round().astype(np.uint8), mask, kind, pattern)


def benchmark_scenes(count: int, side: int = 224) -> list[BenchmarkScene]:
    """`count` scenes, all kinds in turn."""
    return [benchmark_scene(KINDS[number % len(KINDS)], number // len(KINDS), side) for number in range(count)]


def _objects(kind: str, side: int, rng: Rng) -> Bool[np.ndarray, "S S"]:
    """One blob with a tail of arms and bays, or several, inside the picture."""
    mask = np.zeros((side, side), np.uint8)
    count = int(rng.integers(2, 5)) if kind == "several" else 1
    radius = {"small": (0.1, 0.14), "several": (0.1, 0.16)}.get(kind, (0.24, 0.38))
    for _ in range(count):
        size = rng.uniform(*radius)
        centre = rng.uniform(size * 1.1 + 0.03, 1 - size * 1.1 - 0.03, 2)
        angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        length = np.ones(90)
        for waves in range(2, 7):
            length += rng.normal(0, 0.45 / waves) * np.cos(waves * angles + rng.uniform(0, 2 * np.pi))
        length = length.clip(0.35) / length.max()
        stretch = np.array([rng.uniform(0.65, 1), 1.0])[rng.permutation(2)]
        outline = centre + size * 1.1 * length[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1) * stretch
        cv2.fillPoly(mask, [(outline * side).round().astype(np.int32)], 1)
    return mask > 0


def _painted(colour: Float[np.ndarray, 3], pattern: str, contrast: float, side: int, rng: Rng) -> Pixels:
    """A surface of two tones around `colour`, in a pattern."""
    direction = rng.normal(0, 1, 3) * 0.5 + rng.choice([-1, 1])  # mostly lighter and darker, a little of another hue
    tone = direction / np.linalg.norm(direction) * contrast * np.sqrt(3) / 2
    painted: Pixels = colour + _pattern(pattern, side, rng)[..., None] * tone
    return painted


def _away_from(colour: Float[np.ndarray, 3], distance: float, rng: Rng) -> Float[np.ndarray, 3]:
    """A colour at this distance that is still inside the cube, or as far as the cube allows."""
    best, most = colour, -1.0
    for _ in range(40):
        direction = rng.normal(0, 1, 3)
        found = (colour + direction / np.linalg.norm(direction) * distance * np.sqrt(3)).clip(0.05, 0.95)
        reached = float(np.linalg.norm(found - colour)) / np.sqrt(3)
        if reached > most:
            best, most = found, reached
        if reached > 0.97 * distance:
            break
    return best


def _light(side: int, rng: Rng) -> Float[np.ndarray, "S S 1"]:
    """Brightness that falls off in one direction, by up to a quarter."""
    down, across = np.mgrid[0:side, 0:side] / side - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.25)
    light: Field = 1 + strength * (down * np.cos(angle) + across * np.sin(angle))
    return light[..., None]


def _pattern(name: str, side: int, rng: Rng) -> Field:
    """Values in [-1, 1] with a mean near 0."""
    down, across = np.mgrid[0:side, 0:side] / side
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.04, 0.12)
    along, beside = down * np.cos(angle) + across * np.sin(angle), across * np.cos(angle) - down * np.sin(angle)
    if name == "stripes":
        stripes: Field = np.sign(np.sin(2 * np.pi * along / period))
        return stripes
    if name == "checks":
        checks: Field = np.sign(np.sin(2 * np.pi * along / period) * np.sin(2 * np.pi * beside / period))
        return checks
    if name == "dots":
        u, v = (along % period) / period - 0.5, (beside % period) / period - 0.5
        return np.where(u**2 + v**2 < 0.12, 1.0, -0.6)
    if name == "bricks":
        row = np.floor(along / period)
        u, v = (along / period) % 1, (beside / (2.2 * period) + 0.5 * (row % 2)) % 1
        tones = rng.uniform(-0.2, 1.0, 4096)
        stone = tones[((row * 67 + np.floor(beside / (2.2 * period) + 0.5 * (row % 2)) * 31) % 4096).astype(int)]
        return np.where((u < 0.14) | (v < 0.07), -1.0, stone)
    if name == "leaves":
        return _leaves(side, rng)
    if name == "clouds":
        return _noise(side, rng, (3, 6, 12, 24, 48), 0.7)
    return _noise(side, rng, (side, side // 2, side // 4), 1.0)


def _leaves(side: int, rng: Rng) -> Field:
    """Ellipses over ellipses, each of a tone of its own."""
    field = np.zeros((side, side), np.float32)
    for _ in range(700):
        centre = tuple(int(value) for value in rng.integers(0, side, 2))
        axes = tuple(int(value) for value in (rng.uniform(0.012, 0.05, 2) * side).round().clip(1))
        cv2.ellipse(field, centre, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(-1, 1)), -1, cv2.LINE_AA)
    return field.astype(np.float64)


def _noise(side: int, rng: Rng, scales: tuple[int, ...], fall: float) -> Field:
    """Octaves of smooth noise, each finer one weaker by `fall`."""
    field = np.zeros((side, side))
    for octave, cells in enumerate(scales):
        coarse = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        field += fall**octave * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    scaled: Field = (field / (2 * field.std())).clip(-1, 1)
    return scaled
