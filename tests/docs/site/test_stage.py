from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
Site = Callable[[str], ModuleType]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small one: a page, a plugin, two examples, a source file."""
    files = {
        "CHANGELOG.md": "# Changelog\n",
        "README.md": "# Read me\n",
        "docs/index.md": "# Home\n\n![p](images/p.png) [far](https://a.b/c) [here](#x) [deep](deep/page.md#part)\n",
        "docs/images/p.png": "picture",
        "docs/deep/page.md": (
            "# Page\n\n[plugin](../../plugins/one/README.md), [folder](../../examples/all), [code](../../pgsclip/a.py) "
            "[hosts](../../examples/all/hostfile), [home](../../README.md), [log](../../CHANGELOG.md)\n\n"
            "```python\ncalls[0](here.md)\n```\n"
        ),
        "plugins/one/README.md": "# one\n\n    pip install one\n\nIt does [one](https://a.b) thing. And more.\n",
        "examples/README.md": "# Examples\n\n[first](first.py)\n",
        "examples/first.py": "y = 1\n",
        "examples/all/README.md": "# All of them\n\n    bash all.sh\n",
        "examples/all/hostfile": "gpu-1\n",
        "pgsclip/a.py": "x = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_a_page_links_to_becomes_a_page_and_the_links_follow(site: Site, repository: Path) -> None:
    out = repository / "build"
    site("stage").stage(out, repository)
    page = (out / "deep" / "page.md").read_text()
    for name, target in {
        "plugin": "../plugins/one/index.md",
        "folder": "../examples/all/index.md",
        "code": "../pgsclip/a.py.md",
        "hosts": "../examples/all/hostfile.md",
        "home": "../index.md",
        "log": "../changelog.md",
    }.items():
        assert f"[{name}]({target})" in page
        assert (out / "deep" / target).is_file()
    assert "calls[0](here.md)" in page  # code is left as it is
    assert "[far](https://a.b/c) [here](#x) [deep](deep/page.md#part)" in (out / "index.md").read_text()
    assert (out / "images" / "p.png").read_text() == "picture"
    assert (out / "pgsclip" / "a.py.md").read_text() == "# pgsclip/a.py\n\n````python\nx = 1\n````\n"
    assert "## pgsclip train" in (out / "command-line.md").read_text()
    assert "| [`one`](one/index.md) | It does one thing. |" in (out / "plugins" / "index.md").read_text()
    assert "[first](first.py.md)" in (out / "examples" / "index.md").read_text()
    assert (out / "examples" / "first.py.md").is_file()


def test_a_link_that_leads_nowhere_is_named(site: Site, repository: Path) -> None:
    (repository / "docs" / "index.md").write_text("[a](none.md) [b](../../etc/passwd) ![c](images/none.png)")
    with pytest.raises(SystemExit) as stop:
        site("stage").stage(repository / "build", repository)
    lines = str(stop.value).splitlines()
    for line, target in zip(lines, ("../etc/passwd", "docs/images/none.png", "docs/none.md"), strict=True):
        assert line.startswith(f"docs/index.md links to {target}, ")


def test_every_document_of_ours_is_in_the_menu_and_every_entry_is_a_page(site: Site, tmp_path: Path) -> None:
    sources = site("stage").stage(tmp_path)
    menu = set(re.findall(r"[\w/-]+\.md", str(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])))
    assert all((tmp_path / page).is_file() for page in menu)
    documents = {str(path.relative_to("docs")) for path in sources if path.parts[0] == "docs" and path.suffix == ".md"}
    assert documents - menu == set()
