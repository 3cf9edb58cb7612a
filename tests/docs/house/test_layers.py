"""The picture of the layers in docs/design.md."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "house"))
    for name in ("layers", "rooms", "source"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import layers

    return layers


def test_an_arrow_that_others_imply_is_left_out(layers: ModuleType) -> None:
    sources = {
        "pgsclip/__init__.py": "from pgsclip.top import a\n",
        "pgsclip/top.py": "from pgsclip.middle.b import b\nimport pgsclip.low\n",
        "pgsclip/middle/b.py": "def b():\n    from pgsclip import low\n",
        "pgsclip/low.py": "",
    }
    assert layers.find_arrows(sources) == {("top", "middle"), ("middle", "low")}


def test_each_floor_is_below_the_one_before_and_arrows_point_down(layers: ModuleType) -> None:
    drawn = layers.draw([["a", "b"], ["c"], ["d"]], {("a", "c"), ("b", "d")}, {"a"})
    boxes = {}
    tree = ElementTree.fromstring(drawn)
    for rect, name in zip(tree.findall(".//{*}rect"), ["", "a", "b", "c", "d"], strict=True):
        boxes[name] = float(rect.get("y", "0"))
    assert boxes["a"] == boxes["b"] < boxes["c"] < boxes["d"]
    (curve, _) = [one.get("d", "") for one in tree.findall(".//{*}path")]  # none goes to the lowest floor
    start, *_, end = [float(number) for number in re.findall(r"[\d.]+", curve)][1::2]
    assert boxes["a"] < start < end < boxes["c"]


def test_the_picture_shows_the_rooms_that_there_are() -> None:
    """Else run `python docs/house/layers.py`, look at the picture, and commit it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = next(one["layers"] for one in settings["contracts"] if one["type"] == "layers")
    rooms = {name.strip() for floor in floors for name in floor.split("|")}
    picture = ElementTree.parse(ROOT / "docs" / "images" / "layers.svg")
    assert {text.text for text in picture.findall(".//{*}text") if text.get("font-weight") == "600"} == rooms
