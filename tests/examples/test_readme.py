from __future__ import annotations

import re
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_index_names_every_example_and_nothing_else() -> None:
    named = re.findall(r"\]\(([^):]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    there = {path.name for path in EXAMPLES.glob("*.py")} | {
        f"{path.parent.name}/README.md" for path in EXAMPLES.glob("*/README.md")
    }
    assert sorted(named) == sorted(there)


def test_every_example_says_how_to_run_it() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert f"\n    python examples/{path.name}" in path.read_text(encoding="utf-8"), path.name
