"""docs/where.md and docs/design.md name files that there are, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHERE = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")
ROWS = [re.split(r" \| ", row.strip("| ")) for row in WHERE.splitlines() if row.startswith("| ") and "…" not in row]


def paths(cell: str) -> list[str]:
    return [name for name in re.findall(r"`([\w./]+)`", cell) if "/" in name or name.endswith(".py")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_files_and_tests_of_a_row_are_there(row: list[str]) -> None:
    _, files, tests = row
    assert paths(files) or "](" in files
    for folder, cell in (("pgsclip", files), ("tests", tests)):
        for name in paths(cell):
            assert (ROOT / folder / name).exists(), f"{folder}/{name}"


def test_every_room_is_named() -> None:
    rooms = {path.stem for path in (ROOT / "pgsclip").iterdir() if not path.name.startswith(("_", "py.typed"))}
    named = {Path(name).parts[0].removesuffix(".py") for _, files, _ in ROWS for name in paths(files)}
    assert rooms - named == set()


def test_files_and_tests_of_the_design_are_there() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    below = [ROOT / "pgsclip", *(ROOT / "pgsclip" / room for room in ("models", "training")), ROOT]
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert any((folder / name).exists() for folder in below), name
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in tests, name
