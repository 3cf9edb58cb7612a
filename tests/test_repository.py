"""What stands around the package agrees with it: sessions, hooks, forms, the citation, the changelog."""

from __future__ import annotations

import ast
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
KINDS_OF_CHANGE = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
OTHER_FOLDERS = {"docs", "examples", "golden", "gpu"}
"""Folders of tests/ that are no room of the package."""


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def find_sessions() -> set[str]:
    """The sessions of the noxfile, by name."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith("nox.session") for one in node.decorator_list)
    }


def named_sessions(text: str) -> set[str]:
    """The sessions that `nox -s a b -- …` in a text names."""
    return {word for found in re.findall(r"nox -s ([a-z ]+)", text) for word in found.split()}


def is_there(name: str) -> bool:
    """Say whether a dotted name is a module, or something in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_contributing_names_every_session_and_no_other() -> None:
    assert named_sessions((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")) == find_sessions()


def test_hooks_run_sessions_of_nox_and_nothing_of_their_own() -> None:
    hooks = [hook for repo in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    entries = [hook["entry"] for hook in hooks]
    assert all(re.fullmatch(r"\.nox/shared/bin/nox -s [a-z ]+", entry) for entry in entries)
    assert "lint" in set().union(*map(named_sessions, entries)) <= find_sessions()
    assert not any(hook["pass_filenames"] for hook in hooks)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_forms_ask_each_question_once(form: Path) -> None:
    content = read_yaml(str(form.relative_to(ROOT)))
    assert {"name", "description", "body"} <= content.keys()
    questions = [one["id"] for one in content["body"]]
    assert len(set(questions)) == len(questions) > 1
    assert any(one.get("validations", {}).get("required") for one in content["body"])


def test_the_citation_names_the_paper() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == "MIT"
    papers = {reference["title"]: reference for reference in citation["references"]}
    (paper,) = (one for title, one in papers.items() if title.startswith("Seeing What Matters"))
    assert paper["identifiers"][0]["value"] == "10.48550/arXiv.2503.17080"


def test_the_changelog_is_kept_in_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases[1:])
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= KINDS_OF_CHANGE


@pytest.mark.parametrize("folder", ["plugins", "examples", "docs"])
def test_what_is_imported_from_the_package_is_there(folder: str) -> None:
    """Those files run in sessions of their own, and types are checked in the package alone."""
    gone = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pgsclip":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                gone += [f"{path.relative_to(ROOT)}: {name}" for name in names if not is_there(name)]
    assert gone == []


def test_every_test_stands_where_its_source_does_or_says_what_it_is_about() -> None:
    """tests/a/test_b.py tests pgsclip/a/b.py; one that is about more begins with a docstring."""
    silent = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT / "tests")
        name = place.stem.removeprefix("test_")
        room = ROOT / "pgsclip" / place.parent
        mirrored = (room / f"{name}.py").exists() or (room / f"__{name}__.py").exists()
        if place.parts[0] in OTHER_FOLDERS or mirrored:
            continue
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None:
            silent.append(place.as_posix())
    assert silent == []
