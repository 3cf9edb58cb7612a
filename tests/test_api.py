from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import pgsclip
from pgsclip import api
from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError, DataError, ModelError, RunError
from pgsclip.models.start import complete_model
from pgsclip.training.request import Request
from pgsclip.training.run import Outcome

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
TINY: dict[str, Any] = {
    "data": {"spec": "generated", "samples": 64, "batch_size": 8, "workers": 0},
    "model": {"name": "pgsclip-api"},
    "masker": {"name": "random"},
    "optim": {"steps": 2},
    "evaluate": {"data": None},
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "pgsclip-api.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(tmp_path / "models")
    monkeypatch.chdir(tmp_path)


def test_every_form_of_a_config_is_the_same_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Request] = []

    def keep(request: Request, console: Any) -> Outcome:
        asked.append(request)
        return Outcome(request.path, Path(), 0, [], True)

    monkeypatch.setattr(api, "run_training", keep)
    dotted = {f"{section}.{key}": value for section, keys in TINY.items() for key, value in keys.items()}
    Path("tiny.yaml").write_text(json.dumps(TINY))  # JSON is YAML
    for config, settings in (
        (TINY, None),
        (RunConfig.model_validate(TINY), None),
        (None, dotted),
        (Path("tiny.yaml"), None),
        ("tiny.yaml", {"masker.name": "random"}),
    ):
        pgsclip.train(config, settings, out="run")
    given = RunConfig.model_validate({**TINY, "out": "run"})
    expected = given.model_copy(update={"model": complete_model(given.model).config})
    assert [one.config.model_copy(update={"recipe": None}) for one in asked] == [expected] * 5
    assert {one.path for one in asked} == {Path("run")}
    pgsclip.train()
    assert asked[-1].config.recipe == "smoke"
    pgsclip.train(settings={"optim.lr": 1e-5, "data.crop_scale": (0.5, 1)})
    assert (asked[-1].config.optim.lr, asked[-1].config.data.crop_scale) == (1e-5, (0.5, 1.0))
    words = {"data.caption_key": "5e-4", "evaluate.suite": "null", "data.image_key": "[a]", "evaluate.data": None}
    pgsclip.train(settings=words)
    data, evaluate = asked[-1].config.data, asked[-1].config.evaluate
    assert (data.caption_key, data.image_key, evaluate.suite, evaluate.data) == ("5e-4", "[a]", "null", None)
    of_libraries = {
        "optim.steps": np.int64(3),
        "optim.lr": np.float32(0.5),
        "data.spec": tmp_path,
        "engine.compile": True,
    }
    pgsclip.train(TINY, {**of_libraries, "masker.params": {"seeds": np.arange(2).tolist()}})
    config = asked[-1].config
    assert (config.optim.steps, config.optim.lr, config.data.spec) == (3, 0.5, str(tmp_path))
    assert (config.engine.compile, config.masker.params) == (True, {"seeds": [0, 1]})


def test_a_run_goes_on_and_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    first = pgsclip.train(TINY, out="run", resume="auto", quiet=True)
    assert capsys.readouterr() == ("", "")
    assert (first.path, first.steps) == (Path("run"), 2)
    with pytest.raises(RunError, match="already exists and is not overwritten"):
        pgsclip.train(TINY, out="run", quiet=True)
    then = pgsclip.train(TINY, {"optim.steps": 4}, out="run", resume=True, quiet=True)
    assert (first.checkpoint.name, then.checkpoint.name) == ("step-00000002", "step-00000004")
    with pytest.raises(RunError, match="no run to resume in other"):
        pgsclip.train(TINY, out="other", resume=True, quiet=True)


def test_a_wrong_setting_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"optim\.stepz is unknown\. Did you mean 'steps'"):
        pgsclip.train({**TINY, "optim": {"stepz": 2}})
    with pytest.raises(ConfigError, match=r"settings: optim\.lr: .*given: 'much'"):
        pgsclip.train(TINY, {"optim.lr": "much"})
    with pytest.raises(ConfigError, match=r"no recipe 'clipartt'\. Did you mean 'clipart'"):
        pgsclip.train("clipartt")


def test_a_folder_and_a_model_in_memory_have_the_same_results(tmp_path: Path) -> None:
    model = open_clip.create_model("pgsclip-api").train()
    (tmp_path / "folder").mkdir()
    save_file(model.state_dict(), "folder/open_clip_model.safetensors")
    Path("folder/open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL}))
    said: list[str] = []
    options: dict[str, Any] = {"families": ["zeroshot"], "workers": 0, "device": "cpu"}
    named = pgsclip.evaluate(Path("folder"), "demo", out="results", on_message=said.append, **options)
    inside = pgsclip.evaluate(model, "demo", **options)
    assert [result.dataset for result in named.results] == ["demo-shapes"]
    assert [result.metrics for result in named.results] == [result.metrics for result in inside.results]
    assert said[0].startswith("zeroshot demo-shapes: acc1")
    assert model.training
    assert list(Path("results").glob("zeroshot-demo-shapes-*.json"))
    assert pgsclip.evaluate(Path("folder"), "demo", out="results", **options).skipped == 1


def test_what_cannot_be_evaluated_is_a_sentence() -> None:
    with pytest.raises(ModelError, match=r"in memory must be one of open_clip .*this is a Linear"):
        pgsclip.evaluate(nn.Linear(1, 1), "demo")
    small = open_clip.CLIP(**{**MODEL, "text_cfg": {**MODEL["text_cfg"], "vocab_size": 64}})  # type: ignore[dict-item]
    with pytest.raises(ModelError, match=r"vocabulary of 64 tokens, not CLIP's own of 49408: give tokenizer="):
        pgsclip.evaluate(small, "demo")
    with pytest.raises(ConfigError, match="precision 'bf8' is not one of fp32 and amp"):
        pgsclip.evaluate("ViT-B-32:openai", precision="bf8")
    model = open_clip.create_model("pgsclip-api")
    with pytest.raises(DataError, match="None of the sets could be evaluated"):
        pgsclip.evaluate(model, datasets=["nothing"], eval_root="nowhere")
    with pytest.warns(FutureWarning, match="eval_root"), pytest.raises(DataError, match="nowhere"):
        pgsclip.evaluate(model, datasets=["nothing"], data_root="nowhere")


def test_a_tokenizer_may_be_given() -> None:
    small = open_clip.CLIP(**{**MODEL, "text_cfg": {**MODEL["text_cfg"], "vocab_size": 64}})  # type: ignore[dict-item]
    calls = []

    def tokenize(texts: Any) -> torch.Tensor:
        calls.append(texts)
        return torch.full((len(texts), 16), 63)

    open_clip.factory.set_model_preprocess_cfg(small, {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3})
    pgsclip.evaluate(small, "demo", families=["zeroshot"], workers=0, tokenizer=tokenize)
    assert calls
