from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgsclip.errors import ModelError
from pgsclip.models.description import open_clip_name
from pgsclip.models.source import find_source


def test_folders_without_weights_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {}}))
    with pytest.raises(ModelError, match=r"describes a model, but has none of open_clip_model\.safetensors, .* beside"):
        find_source(str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("seed: 3")
    with pytest.raises(ModelError, match=r"The run .*run has no checkpoint yet"):
        find_source(str(tmp_path / "run"))
    (tmp_path / "run/config.yaml").write_text(":\n- [")
    with pytest.raises(ModelError, match=r"The config of the run .* cannot be read"):
        find_source(str(tmp_path / "run"))
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(ModelError, match=r"notes\.md is not a weights file: \.safetensors"):
        find_source(str(tmp_path / "notes.md"))


def test_a_folder_that_describes_no_model_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"neither a run folder .* nor a model folder .*no config\.json of a CLIP"):
        find_source(str(tmp_path))
    with (
        pytest.raises(ModelError, match=r"describes no model: .*no config\.json of a CLIP"),
        open_clip_name(f"local-dir:{tmp_path}"),
    ):
        pass
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match=r"config\.json holds no JSON object"):
        find_source(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json cannot be read: "):
        find_source(str(tmp_path))


@pytest.mark.parametrize("given", [".", "pytorch_model.bin.index.json"])
def test_pickles_in_several_files_are_not_read_and_the_way_out_is_named(given: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}")
    with pytest.raises(ModelError, match=r"in several pickled files .* not read\. .*\.save_pretrained\(OTHER\)"):
        find_source(str(tmp_path / given))
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    if given == ".":
        assert find_source(str(tmp_path)).file == tmp_path / "model.safetensors.index.json"
