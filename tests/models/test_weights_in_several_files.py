"""Weights in several files with an index, as transformers writes large models: all are read, or a sentence says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pgsclip.errors import ModelError
from pgsclip.models.source import find_source
from pgsclip.models.state_file import read_sharded
from pgsclip.models.weights import load_weights


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two tensors in two files."""
    for name in ("a", "b"):
        save_file({name: torch.full((2,), ord(name))}, tmp_path / f"{name}.safetensors")
    return written(tmp_path, {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}})


def written(folder: Path, content: object) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(content))
    return path


def test_all_files_are_read(index: Path) -> None:
    assert {name: tensor.tolist() for name, tensor in read_sharded(index).items()} == {"a": [97, 97], "b": [98, 98]}


@pytest.mark.parametrize("content", [[], {}, {"weight_map": 3}])
def test_what_is_no_index_is_a_sentence(content: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"index\.json is no index of weights: .* 'weight_map'"):
        read_sharded(written(tmp_path, content))


def test_a_file_that_is_missing_or_elsewhere_is_named(index: Path) -> None:
    (index.parent / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"names files that are not beside it: b\.safetensors\. Put all 2"):
        read_sharded(index)
    with pytest.raises(ModelError, match=r"not beside it: 1, b\. "):
        read_sharded(written(index.parent, {"weight_map": {"a": 1, "b": "b"}}))
    folder = index.parent / "inner"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"not beside it: \.\./a\.safetensors\."):
        read_sharded(written(folder, {"weight_map": {"a": "../a.safetensors"}}))


def test_a_tensor_that_is_missing_and_a_damaged_file_are_sentences(index: Path) -> None:
    model = torch.nn.Linear(1, 1)
    (index.parent / "b.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"names a file that is no readable safetensors file"):
        load_weights(model, index)
    save_file({"c": torch.ones(1)}, index.parent / "b.safetensors")
    with pytest.raises(ModelError, match=r"names tensors that its files do not hold, such as b\."):
        load_weights(model, index)


def test_the_index_may_be_named_itself(index: Path) -> None:
    assert find_source(f"pgsclip-smoke:{index}").file == index
    with pytest.raises(ModelError, match=r"does not say which model it belongs to"):
        find_source(str(index))
