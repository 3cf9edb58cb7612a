"""The pages of the site, gathered from the repository: `python docs/site/stage.py` fills `build/pages`.

The documents link to plugins, examples and sources where these lie in the repository, so that they can be read there.
Here each of them becomes a page of its own, a source file as one block of code, and the links follow. So the site needs
neither the repository nor a network. A link to what is not there is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from command_line import reference

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent
HOME = Path("README.md")  # of the repository; the site has a first page of its own
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
PICTURES = {".png", ".svg", ".gif", ".jpg"}
LANGUAGES = {".py": "python", ".sh": "bash", ".sbatch": "bash", ".yaml": "yaml", ".toml": "toml", ".json": "json"}
PLUGINS = """# Plugins

Distributions of their own, in the folder `plugins/` of the repository. After `python -m pip install ./plugins/NAME`
what they bring is there for every command.

| name | what it is |
|---|---|
"""


def place(source: Path) -> Path:
    """Where a file of the repository (relative to its root) lies among the pages."""
    if source == HOME:
        return Path("index.md")
    if source.parent == Path() and source.suffix == ".md":
        return Path(source.name.lower())
    if source.parts[0] == "docs":
        return source.relative_to("docs")
    if source.name == "README.md":
        return source.with_name("index.md")
    return source if source.suffix in PICTURES else source.with_name(f"{source.name}.md")


def stage(out: Path, root: Path = ROOT) -> list[Path]:
    """Write all pages below `out`, which is emptied, and say which files of the repository they come from.

    Raises:
        SystemExit: a link leads nowhere; with all of them as sentences.
    """
    shutil.rmtree(out, ignore_errors=True)
    waiting = [path.relative_to(root) for path in sorted((root / "docs").rglob("*.md"))]
    waiting += [path.relative_to(root) for path in sorted((root / "plugins").glob("*/README.md"))]
    waiting += [path.relative_to(root) for path in sorted(root.glob("*.md")) if path.name != HOME.name]
    waiting += [Path("examples/README.md")]
    done: list[Path] = []
    wrong: list[str] = []
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.append(source)
        target = out / place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix in PICTURES:
            shutil.copy(root / source, target)
            continue
        text = (root / source).read_text()
        if source.suffix != ".md":
            target.write_text(f"# {source}\n\n````{LANGUAGES.get(source.suffix, 'text')}\n{text}````\n")
            continue
        linked, text = _follow(source, text, root)
        there = {path for path in linked if path.parts[0] != ".." and (root / path).is_file()}
        waiting += sorted(there - {HOME})
        wrong += [f"{source} links to {path}, which is no file of the repository." for path in {*linked} - there]
        target.write_text(text)
    (out / "plugins" / "index.md").write_text(PLUGINS + _plugins(root / "plugins"))
    (out / "command-line.md").write_text(reference())
    for folder in ("javascripts", "stylesheets"):
        shutil.copytree(SITE / folder, out / folder)
    if wrong:
        raise SystemExit("\n".join(sorted(wrong)))
    return done


def _follow(source: Path, text: str, root: Path) -> tuple[list[Path], str]:
    """The files that a page links to, and the page with links to where they lie among the pages."""
    linked: list[Path] = []

    def moved(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(source.parent / match[2]))
        if (root / path).is_dir():
            path = path / "README.md"
        linked.append(path)
        return match[1] + os.path.relpath(place(path), place(source).parent)

    parts, last = [], 0
    for block in FENCED.finditer(text):  # code is left as it is
        parts += [LINK.sub(moved, text[last : block.start()]), block[0]]
        last = block.end()
    return linked, "".join([*parts, LINK.sub(moved, text[last:])])


def _plugins(folder: Path) -> str:
    """A row for each plugin: the first sentence of its README."""
    rows = []
    for path in sorted(folder.glob("*/README.md")):
        first = next(part for part in path.read_text().split("\n\n")[1:] if not part.startswith("    "))
        about = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", first.replace("\n", " "))
        sentence = re.split(r"(?<=\.)\s", about)[0]
        rows.append(f"| [`{path.parent.name}`]({path.parent.name}/index.md) | {sentence} |\n")
    return "".join(rows)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "pages"
    sys.stdout.write(f"{len(stage(folder))} files are staged in {folder}.\n")
