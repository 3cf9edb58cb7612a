from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from pgsclip.errors import ModelError
from pgsclip.models.opening import open_model, open_untrained
from pgsclip.models.own_configs import register_own_models
from pgsclip.models.source import ModelRef, find_source

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture
def theirs(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A CLIPModel as transformers itself saves it, with an image processor of its own."""
    vision = {**SIZES, "image_size": 32, "patch_size": 8}
    text = {**SIZES, "max_position_embeddings": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)).eval()
    model.save_pretrained(tmp_path, max_shard_size=getattr(request, "param", "1GB"))
    square = {"height": 32, "width": 32}
    CLIPImageProcessor(size=square, do_center_crop=False, resample=2, image_mean=[0.5] * 3).save_pretrained(tmp_path)
    return model


@pytest.mark.parametrize(("theirs", "files"), [("1GB", 1), ("100KB", 3)], indirect=["theirs"])
def test_a_model_that_transformers_saved_is_read(theirs: Any, files: int, tmp_path: Path) -> None:
    assert len(list(tmp_path.glob("*.safetensors"))) == files
    opened = open_model(find_source(str(tmp_path)))
    assert opened.preprocess_cfg["mean"] == (0.5, 0.5, 0.5)
    assert (opened.preprocess_cfg["resize_mode"], opened.preprocess_cfg["interpolation"]) == ("squash", "bilinear")
    assert opened.model_cfg["quick_gelu"]
    assert not opened.model.training
    images, tokens = torch.randn(3, 3, 32, 32), opened.tokenizer(["a cat", "a dog that is described at great length"])
    assert tokens.shape == (2, 16)
    model: Any = opened.model
    with torch.no_grad():
        outputs = theirs(pixel_values=images, input_ids=tokens)
        torch.testing.assert_close(model.encode_image(images, normalize=True), outputs.image_embeds)
        torch.testing.assert_close(model.encode_text(tokens, normalize=True), outputs.text_embeds)


def test_its_file_alone_does_not_say_what_it_is(theirs: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match=r"does not say which model it belongs to"):
        find_source(str(tmp_path / "model.safetensors"))
    register_own_models()
    with pytest.raises(ModelError, match=r"do not fit this model: .*missing \(such as .*\.resblocks\."):  # by our names
        open_model(ModelRef("pgsclip-smoke", file=tmp_path / "model.safetensors"))


def test_the_configuration_is_that_of_the_model_as_it_is(tmp_path: Path) -> None:
    register_own_models()
    bias = open_clip.create_model("pgsclip-smoke", force_image_size=32, init_logit_bias=-9.0)
    torch.save(bias.state_dict(), tmp_path / "w.pt")
    opened = open_model(ModelRef("pgsclip-smoke", file=tmp_path / "w.pt", image_size=32))
    again = open_clip.CLIP(**opened.model_cfg)
    again.load_state_dict(opened.model.state_dict())
    assert again.visual.image_size == (32, 32)
    assert again.logit_bias.item() == -9.0
    assert open_clip.get_model_config("pgsclip-smoke")["vision_cfg"]["image_size"] == 64  # open_clip's own is untouched


def test_an_untrained_model_moves_no_chance() -> None:
    register_own_models()
    state = torch.random.get_rng_state()
    first, second = (open_untrained("pgsclip-smoke").model.state_dict() for _ in range(2))
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    assert torch.equal(torch.random.get_rng_state(), state)
