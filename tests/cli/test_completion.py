from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsclip.cli.completion import masker_names, recipe_files
from pgsclip.config.recipes import list_recipe_names


def test_names_are_those_that_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert masker_names("p") == ["pgs"]
    assert {"none", "random", "pgs"} <= set(masker_names(""))
    Path("clip-mine.yaml").touch()
    Path("sub").mkdir()
    Path("sub/deep.yaml").touch()
    assert recipe_files("cli") == ["clipart", "clip-mine.yaml"]
    assert recipe_files("sub/") == ["sub/deep.yaml"]
    assert recipe_files("") == [*list_recipe_names(), "clip-mine.yaml"]
    assert recipe_files("no/such/") == []


def test_the_shell_is_told_and_nothing_heavy_is_imported(
    process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = (
        "import sys\nfrom pgsclip.cli.app import main\ntry:\n    main([])\nfinally:\n    print('torch' in sys.modules)"
    )
    words = {"_PGSCLIP_COMPLETE": "complete_bash", "COMP_WORDS": "pgsclip train --masker ra", "COMP_CWORD": "3"}
    assert process("-c", code, **words).stdout.split() == ["random", "False"]
