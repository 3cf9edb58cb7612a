from __future__ import annotations

from collections.abc import Callable
from types import ModuleType


def test_commands_arguments_and_options_are_those_of_the_program(site: Callable[[str], ModuleType]) -> None:
    page = site("command_line").reference()
    for command in ("train", "eval all", "data check", "plugins", "plugins new", "recipes", "recipes show"):
        assert page.count(f"\n## pgsclip {command}\n") == 1
    assert "\n## pgsclip eval\n" not in page  # does nothing by itself
    assert "\n    pgsclip data check [OPTIONS] {SPEC}\n" in page
    assert "| `--ratio R|LO:HI` | Share of patches to hide, or a range per image. |" in page
    assert "`--help`" not in page
    assert "**Examples**" in page


def test_a_bar_ends_a_cell_unless_it_stands_in_code(site: Callable[[str], ModuleType]) -> None:
    assert site("command_line")._cell("a|b `c|d`\nand `e`|f") == "a\\|b `c|d` and `e`\\|f"
