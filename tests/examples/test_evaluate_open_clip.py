from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_a_model_in_memory_and_its_file_give_the_same_figures(
    example: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    example("evaluate_open_clip")
    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines() if line.startswith(("zeroshot", "retrieval"))]
    assert [row[:3:2] for row in rows] == [["zeroshot", "acc1"], ["retrieval", "image_retrieval_recall@5"]]
    assert float(rows[0][3]) < 0.1, "nobody trained it"
    assert "from the file: the same figures" in said
