"""Without a network and with an empty cache, whatever a description wants from the hub ends in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
from huggingface_hub import constants
from open_clip import factory

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import build_model
from pgsclip.models.opening import open_model, open_untrained
from pgsclip.models.source import find_source

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16}
TEXT = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
TEXTS: dict[str, dict[str, Any]] = {
    "tokenizer": {**TEXT, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP"},
    "text": {"hf_model_name": "roberta-base", "hf_tokenizer_name": "roberta-base", "context_length": 8},
}


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network, and a cache with nothing in it."""
    open_untrained("pgsclip-smoke")  # scanning our own configs would forget what is added here
    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    for name, text in TEXTS.items():
        config = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": text}
        monkeypatch.setitem(factory._MODEL_CONFIGS, f"of-the-hub-{name}", config)
    return cache


@pytest.mark.parametrize(
    ("name", "what", "source", "calls"),
    [
        ("of-the-hub-tokenizer", "tokenizer", "timm/ViT-B-16-SigLIP", ("AutoTokenizer", "AutoTokenizer")),
        ("of-the-hub-text", "text tower", "roberta-base", ("AutoModel", "AutoConfig")),
    ],
)
def test_what_is_missing_is_named_with_its_cache_and_the_command_that_fills_it(
    name: str, what: str, source: str, calls: tuple[str, str], offline: Path
) -> None:
    """A new run also wants the weights that a text tower starts from; a model whose own come at once does not."""
    for call, build in zip(
        calls,
        (lambda: build_model(ModelConfig(name=name), seed=0, loss_has_bias=False), lambda: open_untrained(name)),
        strict=True,
    ):
        with pytest.raises(ModelError) as caught:
            build()
        said = str(caught.value)
        assert said.startswith(f"The {what} of '{name}' cannot be loaded: ")
        assert f"It comes from {source} of the Hugging Face hub, whose cache is {offline}" in said
        assert f"python -c \"import transformers; transformers.{call}.from_pretrained('{source}')\"" in said
        assert "\n" not in said


def test_a_description_in_a_folder_wants_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    described = {"model_cfg": open_clip.get_model_config("of-the-hub-text"), "preprocess_cfg": {}}
    (folder / "config.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=rf"text tower of 'local-dir:{folder}' cannot .* comes from roberta-base of"):
        open_untrained(f"local-dir:{folder}")


@pytest.mark.parametrize("tag", ["openai", "laion2b_s34b_b79k"])
def test_weights_of_a_tag_are_named_with_the_command_that_gets_them(tag: str, offline: Path, capfd: Any) -> None:
    config = ModelConfig(name="ViT-B-32", pretrained=tag)
    for build in (
        lambda: build_model(config, seed=0, loss_has_bias=False),
        lambda: open_model(find_source(f"ViT-B-32:{tag}")),
    ):
        with pytest.raises(ModelError) as caught:
            build()
        said = str(caught.value)
        assert said.startswith(f"The pretrained weights '{tag}' of ViT-B-32")
        assert f"whose cache is {offline}" in said
        assert f"pretrained='{tag}')\"" in said
    assert capfd.readouterr().err == "", "open_clip reports the same through its log"


def test_transformers_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip.hf_model, "transformers", None)
    with pytest.raises(ModelError, match=r"of-the-hub-text.* cannot be loaded: Please `pip install transformers`"):
        build_model(ModelConfig(name="of-the-hub-text"), seed=0, loss_has_bias=False)
