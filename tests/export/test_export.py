"""Out, and back in: by each library, and by us."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ConfigError, ModelError, RunError
from pgsclip.evaluation.loaded_model import load_model, weights_hash
from pgsclip.export import formats, transformers_folder
from pgsclip.export.clip_tokenizer import write_tokenizer
from pgsclip.export.export import export
from pgsclip.export.formats import FORMATS
from pgsclip.export.parity import draw_samples_for, embed
from pgsclip.models.build import build_model
from pgsclip.models.opening import open_model
from pgsclip.models.source import find_source

CPU = torch.device("cpu")
FILES = {
    "open_clip": {"open_clip_model.safetensors", "open_clip_config.json"},
    "transformers": {"model.safetensors", "config.json", "preprocessor_config.json"}
    | {"vocab.json", "merges.txt", "tokenizer_config.json"},
    "safetensors": {"model.safetensors", "config.json"},
}


@pytest.mark.parametrize("form", FILES)
def test_out_and_back_in(form: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = export(str(run), form)
    assert done.folder == run / "export" / form
    assert {file.name for file in done.folder.iterdir()} == FILES[form] | {"README.md"}
    assert min(done.parity.image_cosine, done.parity.text_cosine) > 0.999999
    assert done.parity.largest_difference < 1e-4
    ours, theirs = (open_model(find_source(str(folder))) for folder in (run, done.folder))
    assert weights_hash(ours.model) == weights_hash(theirs.model) == load_model(str(done.folder), CPU).weights
    assert ours.preprocess_cfg == theirs.preprocess_cfg
    for one, other in zip(embed(ours, *draw_samples_for(ours)), embed(theirs, *draw_samples_for(ours)), strict=True):
        torch.testing.assert_close(one, other)
    monkeypatch.chdir(run)  # a relative folder is a folder too
    for config in (
        ModelConfig(name=f"local-dir:export/{form}"),
        ModelConfig(name="pgsclip-export", image_size=48, pretrained=f"export/{form}"),
        ModelConfig(name="pgsclip-export", image_size=48, pretrained=str(run)),
    ):
        built = build_model(config, seed=1, loss_has_bias=False)
        assert built.image_tower.image_size == (48, 48)
        for key, tensor in ours.model.state_dict().items():
            torch.testing.assert_close(built.model.state_dict()[key].reshape(tensor.shape), tensor, atol=0, rtol=0)
    again = export(f"export/{form}", "open_clip", Path("again"))  # what came in goes out
    assert weights_hash(open_model(find_source(str(again.folder))).model) == weights_hash(ours.model)


def test_to_onnx(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    done = export(str(run), "onnx", tmp_path / "out")
    encoders = {"image_encoder.onnx", "text_encoder.onnx"}
    tokenizer = {"vocab.json", "merges.txt", "tokenizer_config.json"}
    known = {"README.md", "config.json", "preprocessor_config.json", *encoders, *tokenizer}
    assert {file.name for file in done.folder.iterdir()} == known
    assert done.parity.largest_difference < 1e-5
    assert json.loads((done.folder / "config.json").read_text())["context_length"] == 16
    assert "evaluates it" not in (done.folder / "README.md").read_text()


def test_a_model_that_computes_something_else_is_not_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = transformers_folder.to_config
    monkeypatch.setattr(
        transformers_folder, "to_config", lambda *given: _changed(right(*given), "text_config", hidden_act="relu")
    )
    with pytest.raises(ModelError, match=r"exported transformers model does not match the original \(smallest cos"):
        export(str(run), "transformers")
    assert [*(run / "export").iterdir()] == []


def _changed(config: dict[str, dict[str, object]], section: str, **values: object) -> dict[str, dict[str, object]]:
    return {**config, section: {**config[section], **values}}


def test_what_is_there_is_not_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(str(run), "open_clip", tmp_path / "out")  # an empty folder may be there
    before = (tmp_path / "out" / "README.md").stat()
    with pytest.raises(RunError, match=r"out is there already and is not overwritten\. Give another --out"):
        export(str(run), "safetensors", tmp_path / "out")
    assert (tmp_path / "out" / "README.md").stat() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written to .*file/x: Not a directory\. Give another --out"):
        export(str(run), "safetensors", tmp_path / "file" / "x")


def test_unknown_formats_and_missing_libraries_are_sentences(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"no format 'openclip'\. Did you mean 'open_clip'\? There are open_clip, tr"):
        export(str(run), "openclip")
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"onnx needs onnx, onnxscript, onnxruntime, .*install 'pgsclip\[onnx\]'"):
        export(str(run), "onnx")


def test_the_library_s_own_preprocessing_is_compared(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = transformers_folder.to_preprocessor
    monkeypatch.setattr(
        transformers_folder, "to_preprocessor", lambda given: {**right(given), "image_mean": [0.9, 0.1, 0.5]}
    )
    with pytest.raises(ModelError, match="does not match the original"):
        export(str(run), "transformers")


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_says_how_to_load_it(form: str) -> None:
    assert "FOLDER" in FORMATS[form].usage
    compile(FORMATS[form].usage, form, "exec")


def test_a_tokenizer_of_its_own_goes_along(architecture: dict[str, Any], tmp_path: Path) -> None:
    """As models of other vocabularies have it; here it is CLIP's, loaded by the name of a folder."""
    (tmp_path / "tokenizer").mkdir()
    write_tokenizer(open_clip.SimpleTokenizer(context_length=16), tmp_path / "tokenizer", 16)
    text = {**architecture["text_cfg"], "hf_tokenizer_name": str(tmp_path / "tokenizer")}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "pgsclip-other-words.json").write_text(json.dumps({**architecture, "text_cfg": text}))
    open_clip.add_model_config(tmp_path / "models")
    save_file(open_clip.create_model("pgsclip-other-words").state_dict(), tmp_path / "w.safetensors")
    given = f"pgsclip-other-words:{tmp_path}/w.safetensors"
    folders = [export(given, form, tmp_path / form).folder for form in ("open_clip", "safetensors")]
    with pytest.raises(ModelError, match="does not read CLIP's own vocabulary"):
        export(given, "transformers", tmp_path / "out")
    shutil.rmtree(tmp_path / "tokenizer")
    for folder in folders:
        assert open_model(find_source(str(folder))).tokenizer(["a cat"])[0, :4].tolist() == [49406, 320, 2368, 49407]
