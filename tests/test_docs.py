"""What the documents promise exists: links lead somewhere, commands and options are known."""

from __future__ import annotations

import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from pgsclip.cli.app import app

ROOT = Path(__file__).parents[1]
PLACES = ("*.md", "docs/**/*.md", "plugins/*/README.md", "examples/**/README.md")
PAGES = [page for place in PLACES for page in sorted(ROOT.glob(place))]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
COMMAND = re.compile(r"\bpgsclip (?:[a-z][a-z-]*)[^`\n|]*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("name", re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
def test_names_on_the_page_of_functions_exist(name: str) -> None:
    """The build of the site says so too, after a minute."""
    assert pkgutil.resolve_name(name)


def test_commands_of_the_readme_are_known() -> None:
    """Those of docs/ are run, by tests/docs/test_commands.py."""
    root = typer.main.get_command(app)
    found = 0
    for line in COMMAND.findall((ROOT / "README.md").read_text()):
        words = shlex.split(line.split("&&")[0].replace("…", ""))[1:]
        if words[0] in {"is", "trains"}:
            continue
        command: Any = root
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            name = words.pop(0)
            assert name in command.commands, f"pgsclip {name} in {line!r}"
            command = command.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            if word.startswith("--"):
                assert word in known, f"{word} in {line!r}"
        found += 1
    assert found >= 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_the_python_page_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only how much is trained, and by how many processes it is read, differs."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    page: dict[str, Any] = {}
    small = '"optim.steps": 1, "data.samples": 16, "data.batch_size": 16, "data.workers": 0, "evaluate.data": None}'
    for block in blocks:
        exec(block.replace('"optim.steps": 20}', small).replace('"demo", ', '"demo", workers=0, '), page)
    assert page["logits"].shape == (2, 10)
    assert {result.family for result in page["report"].results} == {"zeroshot", "retrieval"}
    assert (tmp_path / "clip-first" / "open_clip_config.json").is_file()
