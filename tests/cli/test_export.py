from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest


def test_a_trained_run_is_exported_and_evaluated(train: Callable[..., Any], cli: Callable[..., Any]) -> None:
    assert train().code == 0
    said = cli("export", "run", "--to", "transformers")
    assert (said.code, said.err) == (0, "")
    assert "Exported to run/export/transformers: smallest cosine 1.0" in said.out or "0.99999" in said.out
    assert Path("run/export/transformers/config.json").is_file()
    said = cli("eval", "zeroshot", "run/export/transformers", "--demo", "--workers", "0")
    assert said.code == 0, said.err
    assert "zeroshot demo-shapes: acc1" in said.out


def test_mistakes_are_sentences(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    for words, said in (
        (("export", "nothing", "--to", "open_clip"), "pgsclip: There is no checkpoint 'nothing'"),
        (("export", "nothing", "--to", "tf"), "pgsclip: There is no format 'tf'. There are open_clip, transformers"),
        (("push", "nothing", "jane/clip"), "pgsclip: Nobody is logged in to the Hugging Face hub"),
    ):
        found = cli(*words)
        assert found.code == 2
        assert found.err.startswith(said)
        assert "Traceback" not in found.err
