from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from pgsclip.errors import ModelError
from pgsclip.evaluation.loaded_model import load_model, load_untrained, weights_hash

CPU = torch.device("cpu")
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module", autouse=True)
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models")
    (folder / "pgsclip-subject.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)
    return "pgsclip-subject"


def build(name: str, seed: int = 0, **options: Any) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: torch.nn.Module = open_clip.create_model(name, **options)
        return model.eval()


def test_features_are_open_clip_s_own(name: str, tmp_path: Path) -> None:
    model = build(name)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    subject = load_model(f"{name}:{tmp_path}/w.safetensors", CPU)
    images, texts = torch.randn(2, 3, 32, 32), subject.encoder.tokenizer(["a", "a cat"])
    with torch.no_grad():
        expected = model.encode_image(images, normalize=True), model.encode_text(texts, normalize=True)
    assert torch.allclose(subject.encoder.encode_image(images), expected[0], atol=1e-6)
    assert torch.allclose(subject.encoder.encode_text(texts), expected[1], atol=1e-6)


def test_the_hash_is_of_the_weights_and_not_of_the_file(name: str, tmp_path: Path) -> None:
    state = build(name).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 1}, tmp_path / "w.pt")
    (tmp_path / "folder").mkdir()
    save_file(state, tmp_path / "folder/open_clip_model.safetensors")
    (tmp_path / "folder/open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL}))
    forms = [f"{name}:{tmp_path}/w.safetensors", f"{name}:{tmp_path}/w.pt", f"local-dir:{tmp_path}/folder"]
    hashes = {load_model(form, CPU).weights for form in forms}
    assert hashes == {weights_hash(build(name))}
    assert weights_hash(build(name, seed=1)) not in hashes


def test_a_siglip_model_brings_its_bias_along(name: str, tmp_path: Path) -> None:
    save_file(build(name, init_logit_bias=-10.0).state_dict(), tmp_path / "w.safetensors")
    assert load_model(f"{name}:{tmp_path}/w.safetensors", CPU).weights


def test_weights_of_another_model_and_pickles_with_code_are_sentences(name: str, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"do not fit this model"):
        load_model(f"{name}:{tmp_path}/w.safetensors", CPU)
    torch.save({"state_dict": {}, "args": Fraction(1, 2)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"is not unpickled for safety"):
        load_model(f"{name}:{tmp_path}/w.pt", CPU)


def test_weights_that_are_not_finite_are_a_sentence(name: str, tmp_path: Path) -> None:
    for bad in (float("nan"), float("inf")):
        state = build(name).state_dict()
        state["visual.proj"][0, 0] = bad
        save_file(state, tmp_path / "w.safetensors")
        with pytest.raises(
            ModelError, match=r"not finite: NaN or infinite in 1 of its tensors, such as visual\.proj\."
        ):
            load_model(f"{name}:{tmp_path}/w.safetensors", CPU)


def test_the_untrained_model_is_the_same_each_time_and_moves_no_chance() -> None:
    state = torch.random.get_rng_state()
    assert load_untrained("pgsclip-smoke", CPU).weights == load_untrained("pgsclip-smoke", CPU).weights
    assert torch.equal(torch.random.get_rng_state(), state)
