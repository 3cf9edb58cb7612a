"""What is imported is declared, and what is declared is imported, or has its reason here."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_IMPORTED = {
    "requests": "clip-benchmark imports it without declaring it",
}
PARTS = {"pydantic-core": "pydantic", "pillow-avif": "pillow-avif-plugin"}
"""Distributions that come with another and share its versions, and a module with a name of its own."""
UNBOUNDED = {"packaging"}
"""Numbered by year: a new major version says nothing."""
OF_EXTRAS = ("avif", "datasets", "heic", "onnx", "transformers")


def named(requirements: list[str]) -> set[str]:
    """Canonical names of the distributions that requirement lines ask for."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line)[0]).lower() for line in requirements}


def imported(*, anywhere: bool) -> dict[str, str]:
    """Canonical distribution → a file of pgsclip that imports it, from outside the standard library."""
    owners = packages_distributions()
    found: dict[str, str] = {}
    for path in sorted((ROOT / "pgsclip").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if anywhere else tree.body:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            for top in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"pgsclip"}:
                for owner in owners.get(top, [top]):
                    name = re.sub(r"[-_.]+", "-", owner).lower()
                    found.setdefault(PARTS.get(name, name), str(path.relative_to(ROOT)))
    return found


def test_everything_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = named(PROJECT["dependencies"]) | named([line for name in OF_EXTRAS for line in extras[name]])
    strangers = {name: file for name, file in imported(anywhere=True).items() if name not in declared}
    assert strangers == {}


def test_extras_are_never_imported_at_the_top_of_a_module() -> None:
    extras = named([line for name in OF_EXTRAS for line in PROJECT["optional-dependencies"][name]])
    assert {name: file for name, file in imported(anywhere=False).items() if name in extras} == {}


def test_everything_declared_is_imported() -> None:
    assert named(PROJECT["dependencies"]) - imported(anywhere=True).keys() == {*NOT_IMPORTED}


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_every_dependency_has_a_floor_and_a_ceiling(line: str) -> None:
    assert re.search(r"[>=]=", line)
    assert "==" in line or "<" in line or named([line]) <= UNBOUNDED
