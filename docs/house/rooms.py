"""Rooms of a package and the arrows between them, read from its import statements.

A room is a folder with code; a file beside the folders of the top is a room of its own. An arrow goes from a room to
another that it imports from, counted once. A floor is what a room stands on: rooms that import no other room are on the
first one, every other room is one floor above the highest that it imports from. Imports for types alone do not count.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from source import Sources


class Plan(NamedTuple):
    """The ground plan of a package."""

    rooms: dict[str, list[str]]
    """Room → its files."""
    arrows: dict[tuple[str, str], int]
    """(importing room, imported room) → how many files of the first import from the second."""
    room_circles: list[list[str]]
    """Rooms that reach each other."""
    file_circles: list[list[str]]
    """Files that reach each other."""
    floors: list[list[str]]
    """Rooms by floor, the lowest first; rooms of one circle share theirs."""


def draw_plan(sources: Sources) -> Plan:
    """Find rooms, arrows, circles and floors."""
    rooms: dict[str, list[str]] = {}
    for path in sources:
        if not path.endswith("__init__.py") or sources[path].strip():
            rooms.setdefault(room_of(path), []).append(path)
    imports = dict.fromkeys(find_imports(sources), 1)
    between = [(room_of(path), room_of(target), path) for path, target in imports if room_of(path) != room_of(target)]
    arrows = dict(sorted(Counter((above, below) for above, below, _ in set(between)).items()))
    groups = _groups(list(rooms), arrows)
    return Plan(rooms, arrows, _circles(groups), _circles(_groups(list(sources), imports)), _floors(groups, arrows))


def find_imports(sources: Sources) -> list[tuple[str, str]]:
    """Find (importing file, imported file), each pair once."""
    modules = {_module(path): path for path in sources}
    found = {
        (path, target): None
        for path, text in sources.items()
        for name in imported_modules(ast.parse(text))
        if (target := modules.get(name) or modules.get(name.rpartition(".")[0])) is not None and target != path
    }
    return list(found)


def _circles(groups: list[list[str]]) -> list[list[str]]:
    return [group for group in groups if len(group) > 1]


def room_of(path: str) -> str:
    """Return the room of a file: `pgsclip/data` of `pgsclip/data/crops.py`, `pgsclip/files.py` of itself."""
    folder = PurePosixPath(path).parent
    return path if len(folder.parts) == 1 else folder.as_posix()


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports when it runs, inside functions too, as `package.module` or `package.module.name`."""
    for node in _without_type_imports(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_type_imports(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _without_type_imports(child)


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _groups(rooms: list[str], arrows: dict[tuple[str, str], int]) -> list[list[str]]:
    """Rooms that reach each other together, every other room alone."""
    reached = {room: {room} for room in rooms}
    grows = True
    while grows:
        grows = False
        for above, below in arrows:
            if not reached[below] <= reached[above]:
                reached[above] |= reached[below]
                grows = True
    groups: dict[tuple[str, ...], None] = {}  # in their order, each once
    for room in rooms:
        groups[tuple(other for other in rooms if other in reached[room] and room in reached[other])] = None
    return [list(group) for group in groups]


def _floors(groups: list[list[str]], arrows: dict[tuple[str, str], int]) -> list[list[str]]:
    group_of = {room: number for number, group in enumerate(groups) for room in group}
    below: dict[int, set[int]] = {number: set() for number in range(len(groups))}
    for above, under in arrows:
        if group_of[above] != group_of[under]:
            below[group_of[above]].add(group_of[under])
    height: dict[int, int] = {}

    def climb(number: int) -> int:
        if number not in height:
            height[number] = max((climb(one) + 1 for one in below[number]), default=0)
        return height[number]

    floors: list[list[str]] = [[] for _ in range(max(map(climb, below), default=-1) + 1)]
    for number, group in enumerate(groups):
        floors[height[number]] += group
    return [sorted(floor) for floor in floors]
