from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pgsclip.bucketing import Bucket
from pgsclip.errors import ModelError
from pgsclip.models.towers import compiled
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.compiled import compile_blocks
from pgsclip.models.towers.text_tower import TextTower

CPU = torch.device("cpu")


@pytest.mark.filterwarnings("ignore")  # torch about its own insides
def test_compiled_blocks_compute_what_they_did(make_clip: Any, images: Tensor, captions: Any, gradients: Any) -> None:
    """By the eager backend, which needs no compiler: what is tried is which modules are compiled, not torch."""
    plain, other = make_clip(), make_clip()
    tower, text = adapt(other.visual), TextTower(other)
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    with pytest.MonkeyPatch.context() as patch:
        kept = torch.nn.Module.compile
        patch.setattr(torch.nn.Module, "compile", lambda block: kept(block, backend=backend))
        patch.setattr(compiled, "_try_compiler", lambda device: None)
        compile_blocks([*tower.blocks, *text.blocks], CPU)
    expected = adapt(plain.visual)(images).features
    found = tower(images).features
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(gradients(other, found), gradients(plain, expected), atol=1e-10, rtol=1e-9)
    buckets = [Bucket(torch.tensor([0, 1, 3, 5]), 5), Bucket(torch.tensor([2, 4]), 12)]
    torch.testing.assert_close(text(captions.texts, buckets), plain.encode_text(captions.texts), atol=1e-10, rtol=1e-9)
    assert 2 <= len(graphs) <= 4, "one graph serves all blocks of a tower, and not one for each bucket"
    assert list(other.state_dict()) == list(plain.state_dict())


def test_a_machine_without_a_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Any) -> Any:
        raise RuntimeError("no g++ found\nand more")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(ModelError, match=r"torch\.compile does not work on this machine: no g\+\+ found\. Install"):
        compile_blocks([torch.nn.Linear(2, 2)], CPU)
