"""Draw the layers of the package: `python docs/house/layers.py` writes docs/images/layers.svg.

The floors are those that import-linter holds (pyproject.toml), the arrows are the imports that there are. An arrow that
others imply is left out: where training imports evaluation and evaluation imports models, none goes from training to
models. None goes to the lowest floor either, on which everything stands.
"""

from __future__ import annotations

import sys
import tomllib
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rooms import find_imports
from source import Sources, read_tree

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "layers.svg"

WORDS = {
    "cli": "commands, options, what is printed",
    "benchmarks": "what things cost here",
    "testing": "contracts of plugins, as calls",
    "api": "train and evaluate as functions",
    "training": "task, loop, engines, plans, checkpoints",
    "export": "folders for other libraries",
    "evaluation": "five families of tasks",
    "viz": "masks as pictures",
    "mask_quality": "masks without training",
    "report": "pages, tables, curves",
    "masked_tower": "masks in your own loop",
    "masking": "maskers, scores, choice",
    "models": "towers, weights, FLOPs",
    "data": "pairs, shards, images",
    "losses": "contrastive, auxiliary",
    "loggers": "rows to others",
    "results": "results and run states",
    "charts": "SVG and pictures",
    "config": "settings, recipes, phases",
    "launchers": "torchrun, srun, mpirun",
    "process_group": "join and leave",
    "distributed": "exchanges between ranks",
    "bucketing": "rows by length",
    "plugins": "found, loaded, named",
    "opencv": "imported late",
    "errors": "sentences",
    "seeding": "all chance",
    "files": "whole or not at all",
    "grid": "patches",
    "statistics": "intervals",
    "version": "one place",
    "token_ids": "caption length",
}
"""Component → a few words for its box."""

_WIDTH, _MARGIN, _GAP = 1120, 24, 14
_BOX, _STEP = 46, 84
_INK, _SOFT, _PAPER, _EDGE, _FOLDER, _FILE = "#1d2228", "#5f6873", "#ffffff", "#b7c0ca", "#e3edff", "#f4f6f8"


def read_layers(root: Path) -> list[list[str]]:
    """Read the floors of the package, the highest first."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(one["layers"] for one in settings["contracts"] if one["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def find_arrows(sources: Sources) -> set[tuple[str, str]]:
    """Find which component imports which, without the arrows that others imply."""
    arrows = {(_component(path), _component(target)) for path, target in find_imports(sources)}
    arrows = {(above, below) for above, below in arrows if above != below and "" not in (above, below)}
    return {arrow for arrow in arrows if not _is_implied(arrow, arrows)}


def _component(path: str) -> str:
    """`data` of `pgsclip/data/crops.py`, `files` of `pgsclip/files.py`; none for the front door."""
    name = path.split("/")[1].removesuffix(".py")
    return "" if name.startswith("__") else name


def _is_implied(arrow: tuple[str, str], arrows: set[tuple[str, str]]) -> bool:
    above, below = arrow
    reached, new = set[str](), {one for top, one in arrows if top == above and one != below}
    while new:
        reached |= new
        new = {one for top, one in arrows if top in reached} - reached
    return below in reached


def draw(layers: list[list[str]], arrows: set[tuple[str, str]], folders: set[str]) -> str:
    """Draw boxes floor by floor, those of folders darker than those of single files, and curves between them."""
    places: dict[str, tuple[float, float, float]] = {}
    for number, layer in enumerate(layers):
        width = min(240.0, (_WIDTH - 2 * _MARGIN - _GAP * (len(layer) - 1)) / len(layer))
        left = (_WIDTH - width * len(layer) - _GAP * (len(layer) - 1)) / 2
        for place, name in enumerate(layer):
            places[name] = (left + place * (width + _GAP), _MARGIN + number * _STEP, width)
    height = 2 * _MARGIN + _STEP * (len(layers) - 1) + _BOX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="The rooms of pgsclip, floor above floor; each imports from below only">',
        f'<rect width="{_WIDTH}" height="{height}" rx="12" fill="{_PAPER}"/>',
    ]
    parts += [_draw_arrow(places[above], places[below]) for above, below in sorted(arrows) if below not in layers[-1]]
    parts += [_draw_box(name, *place, _FOLDER if name in folders else _FILE) for name, place in places.items()]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _draw_arrow(above: tuple[float, float, float], below: tuple[float, float, float]) -> str:
    (left, top, width), (other_left, other_top, other_width) = above, below
    x, y, to_x, to_y = left + width / 2, top + _BOX, other_left + other_width / 2, other_top
    bend = (to_y - y) / 2
    curve = f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y - 5:.0f}"
    head = f"M{to_x - 3:.0f} {to_y - 6:.0f}L{to_x:.0f} {to_y - 1:.0f}L{to_x + 3:.0f} {to_y - 6:.0f}Z"
    return f'<path d="{curve}" fill="none" stroke="{_EDGE}"/><path d="{head}" fill="{_EDGE}"/>'


def _draw_box(name: str, left: float, top: float, width: float, fill: str) -> str:
    font = 'text-anchor="middle" font-family="system-ui,sans-serif"'
    middle, box = left + width / 2, f'x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{_BOX}" rx="7"'
    words = escape(WORDS.get(name, ""))
    return (
        f'<rect {box} fill="{fill}" stroke="{_EDGE}"/>'
        f'<text x="{middle:.0f}" y="{top + 19:.0f}" {font} font-size="14" font-weight="600" fill="{_INK}">{name}</text>'
        f'<text x="{middle:.0f}" y="{top + 36:.0f}" {font} font-size="11" fill="{_SOFT}">{words}</text>'
    )


def main() -> None:
    sources = read_tree(ROOT, "pgsclip")
    folders = {path.split("/")[1] for path in sources if path.count("/") > 1}
    PICTURE.write_text(draw(read_layers(ROOT), find_arrows(sources), folders), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
