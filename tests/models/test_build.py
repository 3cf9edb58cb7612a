from __future__ import annotations

import dataclasses
import logging
import math
import re
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip import factory
from PIL import Image

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import BuiltModel, build_model
from pgsclip.models.flops import pair_flops
from pgsclip.models.opening import open_model
from pgsclip.models.source import find_source
from pgsclip.models.start import complete_model
from pgsclip.models.towers.open_clip_vit import NativeTower
from pgsclip.models.towers.timm_vit import TimmTower
from pgsclip.models.weights import save_state_dict

SMOKE = ModelConfig(name="pgsclip-smoke")
VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16}
TEXT = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
TIMM = {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", "image_size": 160}


@pytest.fixture(scope="module")
def smoke() -> BuiltModel:
    return build_model(SMOKE, seed=0, loss_has_bias=False)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`known(name, vision={…}, text={…})` makes a config known to open_clip while the test lasts."""

    def add(name: str, **parts: Any) -> ModelConfig:
        config = {"embed_dim": 16, "vision_cfg": parts.pop("vision", VISION), "text_cfg": parts.pop("text", TEXT)}
        monkeypatch.setitem(factory._MODEL_CONFIGS, name, {**config, **parts})
        return ModelConfig(name=name)

    build_model(SMOKE, seed=0, loss_has_bias=False)  # scanning our own configs would forget what was added before
    return add


def test_everything_that_belongs_to_the_model_comes_along(smoke: BuiltModel) -> None:
    assert isinstance(smoke.image_tower, NativeTower)
    assert smoke.image_tower.image_size == (64, 64)
    assert (smoke.context_length, smoke.vocab_size) == (24, 49408)
    tokens = smoke.tokenizer(["a red circle"])
    assert tokens.shape == (1, 24)
    assert tokens.max() < smoke.vocab_size
    assert smoke.model.logit_scale.shape == (1,)
    assert smoke.model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))
    assert smoke.model.logit_bias is None


def test_the_seed_alone_decides_the_weights(smoke: BuiltModel) -> None:
    before = torch.get_rng_state()
    again = build_model(SMOKE, seed=0, loss_has_bias=False).model.state_dict()
    other = build_model(SMOKE, seed=1, loss_has_bias=False).model.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in smoke.model.state_dict().items():
        assert torch.equal(tensor, again[name]), name
    assert not torch.equal(again["visual.conv1.weight"], other["visual.conv1.weight"])


def test_a_loss_with_a_bias_starts_as_siglip(known: Any) -> None:
    model = build_model(known("tiny"), seed=0, loss_has_bias=True).model
    assert model.logit_scale.item() == pytest.approx(math.log(10))
    assert model.logit_bias.tolist() == [-10.0]


def test_images_are_resized_cropped_and_normalised(smoke: BuiltModel) -> None:
    grey = Image.new("RGB", (100, 80), (128, 128, 128))
    expected = (128 / 255 - torch.tensor(open_clip.OPENAI_DATASET_MEAN)) / torch.tensor(open_clip.OPENAI_DATASET_STD)
    pixels = smoke.preprocess_eval()(grey)
    assert pixels.shape == (3, 64, 64)
    torch.testing.assert_close(pixels.mean(dim=(1, 2)), expected, atol=1e-5, rtol=1e-5)


def test_another_image_size_reaches_tower_and_transform(known: Any) -> None:
    config = known("tiny").model_copy(update={"image_size": 48})
    built = build_model(config, seed=0, loss_has_bias=False)
    assert built.image_tower.image_size == (48, 48)
    assert built.preprocess_eval()(Image.new("RGB", (60, 60))).shape == (3, 48, 48)
    assert built.image_tower(torch.zeros(1, 3, 48, 48)).features.shape == (1, 16)


def test_a_timm_tower_is_built_at_its_size(known: Any) -> None:
    config = known("tiny-timm", vision=TIMM).model_copy(update={"image_size": 48})
    built = build_model(config, seed=0, loss_has_bias=False)
    assert isinstance(built.image_tower, TimmTower)
    assert (built.image_tower.image_size, built.image_tower.patch_size) == ((48, 48), (16, 16))
    pixels = torch.randn(1, 3, 48, 48)
    torch.testing.assert_close(built.image_tower(pixels).features, built.model.encode_image(pixels))


def test_patch_dropout_of_the_config_is_off(known: Any) -> None:
    config = known("tiny-dropping", vision={**VISION, "patch_dropout": 0.5})
    model = build_model(config, seed=0, loss_has_bias=False).model
    assert isinstance(model.visual.patch_dropout, torch.nn.Identity)


@pytest.mark.parametrize("custom", [False, True])
def test_activations_are_recomputed_in_both_towers_when_asked(custom: bool, known: Any) -> None:
    for wanted in (False, True):
        config = known("tiny", custom_text=custom).model_copy(update={"checkpoint_activations": wanted})
        model = build_model(config, seed=0, loss_has_bias=False).model
        text = model.text.transformer if custom else model.transformer
        assert (model.visual.transformer.grad_checkpointing, text.grad_checkpointing) == (wanted, wanted)


@pytest.mark.parametrize(
    ("vision", "kind"),
    [
        ({"layers": [1, 1, 1, 1], "width": 8, "image_size": 32}, "ModifiedResNet"),
        ({**TIMM, "timm_model_name": "test_convnext", "timm_pool": "avg"}, "ConvNeXt"),
        ({**TIMM, "timm_model_name": "test_resnet", "timm_pool": "avg"}, "ResNet"),
    ],
)
def test_towers_without_patches_are_shown_whole_images_and_know_why(
    vision: dict[str, Any], kind: str, known: Any
) -> None:
    built = build_model(known("tiny-other", vision=vision), seed=0, loss_has_bias=False)
    tower, visual = built.image_tower, built.model.visual.eval()
    refusal = rf"The image tower {kind} cannot hide patches: only ViTs can.*Take a ViT"
    assert re.match(refusal, tower.refusal)
    images = torch.randn(2, 3, *tower.image_size)
    assert torch.equal(tower(images).features, visual(images))
    assert (tower(images).patches_kept, tower.width, built.patches) == (1.0, 16, 1)
    for asked in (lambda: tower.embed(images), lambda: tower(images, lambda *_: []), lambda: tower.attend(images)):
        with pytest.raises(ModelError, match=refusal):
            asked()


def test_coca_is_refused(known: Any) -> None:
    config = known(
        "tiny-coca",
        vision={**VISION, "attentional_pool": True, "attn_pooler_heads": 2},
        text={**TEXT, "embed_cls": True, "output_tokens": True},
        multimodal_cfg={"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
        custom_text=True,
    )
    with pytest.raises(ModelError, match="'tiny-coca' is a CoCa model, whose caption decoder a contrastive loss does"):
        build_model(config, seed=0, loss_has_bias=False)


def test_unknown_model_gets_the_nearest_name() -> None:
    with pytest.raises(ModelError, match=r"Unknown model 'pgsclip-smok'. Did you mean 'pgsclip-smoke'\?.*list_models"):
        build_model(ModelConfig(name="pgsclip-smok"), seed=0, loss_has_bias=False)


def test_unknown_tag_gets_the_nearest_one_and_all() -> None:
    config = ModelConfig(name="ViT-B-32", pretrained="openay")
    with pytest.raises(
        ModelError, match=r"no pretrained weights 'openay' for ViT-B-32. Did you mean 'openai'\?.*laion"
    ):
        build_model(config, seed=0, loss_has_bias=False)
    config = ModelConfig(name="pgsclip-smoke", pretrained="openai")
    with pytest.raises(ModelError, match=r"Tags: none; or give the path of a .safetensors or .pt file"):
        build_model(config, seed=0, loss_has_bias=False)


def test_a_folder_called_like_a_tag_does_not_hide_the_tag(
    smoke: BuiltModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openai").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no pretrained weights 'openai'"):
        build_model(ModelConfig(name="pgsclip-smoke", pretrained="openai"), seed=0, loss_has_bias=False)


def test_what_open_clip_refuses_is_told_and_its_silence_ends(known: Any) -> None:
    with pytest.raises(ModelError, match="open_clip cannot build 'broken' as configured: "):
        build_model(known("broken", vision={**VISION, "pool_type": "max"}), seed=0, loss_has_bias=False)
    assert logging.root.isEnabledFor(logging.WARNING)


def test_a_tokenizer_that_cannot_be_had_is_a_sentence(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str) -> None:
        raise OSError("no route to the hub.\nTraceback of many lines")

    config = known("tiny")
    monkeypatch.setattr(open_clip, "get_tokenizer", offline)
    with pytest.raises(ModelError, match=r"tokenizer of 'tiny' cannot be loaded: no route to the hub. It comes from"):
        build_model(config, seed=0, loss_has_bias=False)


def test_training_starts_from_a_file(known: Any, tmp_path: Path) -> None:
    source = build_model(known("tiny"), seed=5, loss_has_bias=False).model
    save_state_dict(source.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        config = known("tiny").model_copy(update={"pretrained": str(tmp_path / name)})
        loaded = build_model(config, seed=0, loss_has_bias=False).model
        torch.testing.assert_close(loaded.state_dict(), source.state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("place", ["file", "tag"])
@pytest.mark.parametrize(("had", "wants"), [(False, True), (True, False), (True, True), (False, False)])
def test_weights_of_one_loss_go_into_another(
    had: bool, wants: bool, place: str, known: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an architecture that describes itself with a bias where its tag has one, as SigLIP's do."""
    config = known("tiny-loss", **({"init_logit_bias": -10.0} if had else {}))
    theirs = open_clip.create_model("tiny-loss", load_weights=False)
    state = {
        **theirs.state_dict(),
        "logit_scale": torch.tensor(4.0),
        **({"logit_bias": torch.tensor(-3.0)} if had else {}),
    }
    save_state_dict(state, tmp_path / "w.safetensors")
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-loss", {"own": {"url": "there"}})
    monkeypatch.setattr(factory, "download_pretrained", lambda *_, **__: str(tmp_path / "w.safetensors"))
    given = str(tmp_path / "w.safetensors") if place == "file" else "own"
    built = build_model(config.model_copy(update={"pretrained": given}), seed=0, loss_has_bias=wants)
    model, loaded = built.model, built.loaded
    assert torch.equal(model.visual.proj, theirs.visual.proj)
    assert (model.logit_bias is not None) == wants
    assert ("logit_bias" in model.state_dict()) == wants
    assert loaded is not None
    assert loaded.tensors == len(model.state_dict())
    assert loaded.begun == (("logit_bias", "logit_scale") if wants and not had else ())
    assert loaded.dropped == (("logit_bias",) if had and not wants else ())
    if wants:
        assert model.logit_bias.tolist() == [-3.0 if had else -10.0]
    assert model.logit_scale.item() == pytest.approx(math.log(10) if wants and not had else 4)
    save_state_dict(model.state_dict(), tmp_path / "again.safetensors")
    opened = open_model(find_source(f"tiny-loss:{tmp_path / 'again.safetensors'}"))
    assert ("init_logit_bias" in opened.model_cfg) == wants
    open_clip.CLIP(**opened.model_cfg).load_state_dict(opened.model.state_dict())


def test_a_tag_of_quickgelu_takes_the_architecture_that_computes_it(
    known: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known("tiny-gelu")
    known("tiny-gelu-quickgelu", quick_gelu=True)
    monkeypatch.setattr(factory, "list_models", lambda: ["tiny-gelu", "tiny-gelu-quickgelu"])
    tags = {"own": {"url": "there", "quick_gelu": True}}
    for name in ("tiny-gelu", "tiny-gelu-quickgelu"):
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, tags)
    completed = complete_model(ModelConfig(name="tiny-gelu", pretrained="own"))
    assert completed.config.name == "tiny-gelu-quickgelu"
    assert completed.findings == (
        "The weights own are those of tiny-gelu-quickgelu, which takes the place of tiny-gelu.",
    )
    assert complete_model(completed.config) == (completed.config, ())
    assert find_source("tiny-gelu:own").architecture == "tiny-gelu-quickgelu"


def test_a_file_that_is_not_there() -> None:
    config = ModelConfig(name="pgsclip-smoke", pretrained="none/such.pt")
    with pytest.raises(ModelError, match=r"There is no weights file none/such.pt; give a .safetensors or .pt file"):
        build_model(config, seed=0, loss_has_bias=False)


@pytest.mark.parametrize("name", ["pgsclip-smoke", "ViT-B-16"])
def test_without_numbers_it_has_the_same_shapes_and_the_same_cost(name: str) -> None:
    whole, empty = (
        build_model(ModelConfig(name=name), seed=0, loss_has_bias=True, numbers=numbers) for numbers in (True, False)
    )
    shapes = [{key: tensor.shape for key, tensor in one.model.state_dict().items()} for one in (whole, empty)]
    assert shapes[0] == shapes[1]
    assert all(parameter.is_meta for parameter in empty.model.visual.parameters())
    assert pair_flops(dataclasses.replace(whole, name="whole")) == pair_flops(dataclasses.replace(empty, name="empty"))


def test_a_plan_of_the_largest_model_takes_no_memory() -> None:
    """Five billion parameters are twenty GiB."""
    built = build_model(ModelConfig(name="EVA02-E-14-plus"), seed=0, loss_has_bias=False, numbers=False)
    assert sum(parameter.numel() for parameter in built.model.parameters()) == pytest.approx(5044.89e6, rel=1e-5)
    assert built.patches == 256


def test_weights_to_begin_with_are_held_against_the_shapes(tmp_path: Path) -> None:
    save_state_dict(build_model(SMOKE, seed=0, loss_has_bias=False).model.state_dict(), tmp_path / "own.safetensors")
    begin = SMOKE.model_copy(update={"pretrained": str(tmp_path / "own.safetensors")})
    assert build_model(begin, seed=0, loss_has_bias=False, numbers=False).loaded.begun == ()
    with pytest.raises(ModelError, match="do not fit this model"):
        build_model(begin.model_copy(update={"name": "ViT-S-32-alt"}), seed=0, loss_has_bias=False, numbers=False)
