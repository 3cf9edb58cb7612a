from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgsclip.files import write_atomically


def test_index_counts_and_says_where_it_wrote(
    cli: Callable[..., Any], tmp_path: Path, shard: Callable[..., Path]
) -> None:
    shard("a.tar", range(3))
    said = cli("data", "index", "a.tar")
    assert (said.code, said.out) == (0, "3 pairs in 1 shard\nwritten to sizes.json\n")
    assert json.loads((tmp_path / "sizes.json").read_text()) == {"a.tar": 3}
    said = cli("data", "index", "pipe:cat a.tar")
    assert "--set data.samples=3" in said.out
    write_atomically(tmp_path / "list.csv", "filepath,title\n")
    said = cli("data", "index", "list.csv")
    assert said.code == 2
    assert "'list.csv' is not in shards" in said.err
