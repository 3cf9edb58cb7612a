from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from pgsclip.config.resolve import to_yaml
from pgsclip.config.schema import ModelConfig, RunConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.checksums import write_checksums
from pgsclip.models.weights import save_state_dict
from pgsclip.viz.embeddings import open_embedder

NAME = "pgsclip-drawn"
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltModel:
    folder = tmp_path_factory.mktemp("models")
    (folder / f"{NAME}.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder)
    return build_model(ModelConfig(name=NAME), seed=5, loss_has_bias=False)


@pytest.fixture
def run(built: BuiltModel, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    other = build_model(ModelConfig(name=NAME), seed=6, loss_has_bias=False)
    for step, model in (("step-00000001", other), ("step-00000020", built)):
        (folder / "checkpoints" / step).mkdir(parents=True)
        save_state_dict(model.model.state_dict(), folder / "checkpoints" / step / WEIGHTS)
        write_checksums(folder / "checkpoints" / step)
    (folder / "config.yaml").write_text(to_yaml(RunConfig(model=ModelConfig(name=NAME))))
    return folder


def test_embeddings_are_those_of_the_last_checkpoint(built: BuiltModel, run: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    embedder = open_embedder(run, None)
    picture = embedder.open(tmp_path / "a.png")
    assert picture.image.size == (32, 32)
    assert picture.grid == (4, 4, 8)
    torch.testing.assert_close(picture.pixels[0], built.preprocess_eval()(Image.fromarray(pixels)))
    _, expected = built.image_tower.embed(picture.pixels)
    assert picture.embeddings is not None
    torch.testing.assert_close(picture.embeddings, expected.detach())
    first = open_embedder(run / "checkpoints" / "step-00000001", None)(picture)
    assert not torch.allclose(first.embeddings, expected)


def test_a_weights_file_alone_wants_its_architecture_named(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "w.safetensors"
    alone.write_bytes((run / "checkpoints" / "step-00000020" / WEIGHTS).read_bytes())
    with pytest.raises(
        ModelError, match=r"does not say which architecture it holds\. Give --model NAME, or --checkpoint"
    ):
        open_embedder(alone, None)
    assert open_embedder(alone, NAME).built.image_tower.patch_size == (8, 8)
    with pytest.raises(ModelError, match="do not fit this model"):
        open_embedder(alone, "pgsclip-smoke")


def test_folders_without_weights_and_torn_configs_are_sentences(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"There is no checkpoint in {tmp_path}: expected a run folder"):
        open_embedder(tmp_path, None)
    (run / "config.yaml").write_text("model: [")
    with pytest.raises(ModelError, match=r"The config of the run .* cannot be read"):
        open_embedder(run, None)


def test_a_model_with_siglips_bias_opens_too(tmp_path: Path, built: BuiltModel) -> None:
    biased = build_model(ModelConfig(name=NAME), seed=5, loss_has_bias=True)
    save_state_dict(biased.model.state_dict(), tmp_path / "w.safetensors")
    assert open_embedder(tmp_path / "w.safetensors", NAME).built.image_tower.image_size == (32, 32)
