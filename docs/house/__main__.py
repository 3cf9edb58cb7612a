"""Measure the house: rooms, arrows, floors, long files and functions, repeated lines, comments, names that occur twice.

`python docs/house` prints the figures and every place behind them; `--vs REV` prints them beside those of a revision,
and only the places that are new since. It ends with 1 when a function has more than 60 lines or a complexity over 15,
or when files import each other in a circle.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from measure import count_comments, count_lines, list_functions, list_repeated_blocks, list_repeated_names
from rooms import Plan, draw_plan
from source import Sources, read_revision, read_tree

ROOT = Path(__file__).parents[2]
PACKAGE = "pgsclip"
LONG_FILE, LONG_FUNCTION, LONGEST_FUNCTION, MANY_PARAMETERS, MOST_COMPLEX = 200, 45, 60, 7, 15


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    value: str
    places: list[str]
    forbidden: bool = False
    """Whether there should be none."""


def measure(sources: Sources) -> list[Figure]:
    """Measure a package."""
    plan, functions, lines = draw_plan(sources), list_functions(sources), count_lines(sources)
    files, classes = list_repeated_names(sources)
    total = sum(lines.values())
    long_files = [f"{path} {count}" for path, count in lines.items() if count > LONG_FILE]
    long = [f"{one.place} {one.lines}" for one in functions if one.lines > LONG_FUNCTION]
    longest = [f"{one.place} {one.lines}" for one in functions if one.lines > LONGEST_FUNCTION]
    many = [f"{one.place} {one.parameters}" for one in functions if one.parameters > MANY_PARAMETERS]
    complex_ones = [f"{one.place} {one.complexity}" for one in functions if one.complexity > MOST_COMPLEX]
    blocks = [f"{block.lines} lines {block.places[0]} = {block.places[1]}" for block in list_repeated_blocks(sources)]
    return [
        Figure("files", f"{len(sources):,}", []),
        Figure("lines", f"{total:,}", []),
        *_plan_figures(plan),
        Figure("largest file", f"{max(lines.values(), default=0)}", []),
        Figure(f"files over {LONG_FILE} lines", str(len(long_files)), long_files),
        Figure("functions", f"{len(functions):,}", []),
        Figure("longest function", f"{max((one.lines for one in functions), default=0)}", []),
        Figure(f"functions over {LONG_FUNCTION} lines", str(len(long)), long),
        Figure(f"functions over {LONGEST_FUNCTION} lines", str(len(longest)), longest, forbidden=True),
        Figure(f"functions of more than {MANY_PARAMETERS} parameters", str(len(many)), many),
        Figure(f"complexity over {MOST_COMPLEX}", str(len(complex_ones)), complex_ones, forbidden=True),
        Figure("repeated blocks of 6 lines or more", str(len(blocks)), blocks),
        Figure("comments per 100 lines", f"{100 * count_comments(sources) / max(total, 1):.1f}", []),
        Figure("file names that occur twice", str(len(files)), files),
        Figure("public class names that occur twice", str(len(classes)), classes),
    ]


def _plan_figures(plan: Plan) -> list[Figure]:
    rooms, files = ([" and ".join(circle) for circle in found] for found in (plan.room_circles, plan.file_circles))
    return [
        Figure("rooms", str(len(plan.rooms)), []),
        Figure("arrows between rooms", str(len(plan.arrows)), []),
        Figure("floors", str(len(plan.floors)), []),
        Figure("circles of rooms", str(len(rooms)), rooms),
        Figure("circles of files", str(len(files)), files, forbidden=True),
    ]


def describe(now: list[Figure], before: list[Figure] | None, revision: str) -> list[str]:
    """Write the table, and beneath it the places: all of them, or those that the revision did not have."""
    width = max(len(figure.name) for figure in now)
    lines = []
    if before is None:
        lines += [f"{figure.name:<{width}}  {figure.value:>8}" for figure in now]
    else:
        old = {figure.name: figure for figure in before}
        lines.append(f"{'':<{width}}  {revision:>8}  {'now':>8}")
        lines += [f"{one.name:<{width}}  {old[one.name].value:>8}  {one.value:>8}" for one in now]
    for figure in now:
        known = {_without_numbers(place) for one in before or [] if one.name == figure.name for place in one.places}
        shown = [place for place in figure.places if _without_numbers(place) not in known]
        if shown:
            lines += ["", f"{figure.name}{'' if before is None else f', not in {revision}'}:"]
            lines += [f"  {place}" for place in shown]
    return lines


def _without_numbers(place: str) -> str:
    """A place as it is after lines above it have moved."""
    return "".join(letter for letter in place if not letter.isdigit())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="house", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vs", metavar="REV", help="compare with this revision")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    parser.add_argument("--package", default=PACKAGE, help="the folder of the package in it")
    given = parser.parse_args(arguments)
    now = measure(read_tree(given.root, given.package))
    before = measure(read_revision(given.root, given.package, given.vs)) if given.vs else None
    print("\n".join(describe(now, before, given.vs or "")))
    wrong = [figure.name for figure in now if figure.forbidden and figure.places]
    if wrong:
        print(f"\nThere should be none: {', '.join(wrong)}.", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
