"""Which parameters are not trained; open_clip's own `lock_image_tower` and `lock_text_tower` are the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pgsclip.config.schema import ModelConfig
from pgsclip.errors import ConfigError
from pgsclip.models.freezing import Frozen, freeze
from pgsclip.models.layers import find_layers
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.text_tower import TextTower


def frozen_by_us(model: Any, *parts: str, norms: bool = False) -> Frozen:
    layers = find_layers(model, adapt(model.visual).blocks, TextTower(model).blocks)
    return freeze(model, layers, parts, norms=norms)


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize("blocks", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("tower", ["image", "text"])
def test_what_open_clip_locks(tower: str, blocks: int | None, custom: bool, make_clip: Any) -> None:
    depth = {"vision": {"layers": 3}, "text": {"layers": 3}}
    ours, theirs = make_clip(custom=custom, **depth), make_clip(custom=custom, **depth)
    found = frozen_by_us(ours, tower if blocks is None else f"{tower}:{blocks}")
    unlocked = 0 if blocks is None else 3 + 2 - 1 - blocks  # of its groups: before, three blocks, the projection
    lock = theirs.lock_image_tower if tower == "image" else theirs.lock_text_tower
    lock(unlocked)
    assert trained(ours) == trained(theirs)
    assert trained(ours) < dict(ours.named_parameters()).keys()
    assert found.sentence.startswith(f"Frozen: {tower}{'' if blocks is None else f':{blocks}'} (")


def test_norms_are_trained_where_that_is_asked_for(make_clip: Any) -> None:
    model = make_clip()
    found = frozen_by_us(model, "image", norms=True)
    assert {name for name in trained(model) if name.startswith("visual.")} == {
        name for name, _ in model.named_parameters() if name.startswith("visual.") and ".ln_" in f".{name}"
    }
    assert found.sentence.endswith("their norms are trained.")


@pytest.mark.parametrize(("parts", "at_rest"), [(("image",), "all"), (("image:1",), "first"), ((), "none")])
def test_what_is_frozen_computes_as_in_evaluation(
    parts: tuple[str, ...], at_rest: str, make_timm: Any, make_clip: Any
) -> None:
    """Dropout of a frozen block would be noise that nothing can learn from."""
    model = make_clip(custom=True)
    model.visual = make_timm(depth=2, proj_drop_rate=0.5, drop_path_rate=0.5)
    found = frozen_by_us(model, *parts)
    model.train()
    for module in found.modules:
        module.eval()
    blocks = model.visual.trunk.blocks
    assert [not block.training for block in blocks] == {
        "all": [True, True], "first": [True, False], "none": [False, False]
    }[at_rest]  # fmt: skip
    assert all(module.training != (at_rest != "none") for module in blocks[0].modules())
    images = torch.randn(4, 3, 48, 48, dtype=torch.float64)
    assert torch.equal(model.visual(images), model.visual(images)) == (at_rest == "all")
    assert model.text.training


def test_a_stem_with_batch_norm_keeps_its_statistics(make_clip: Any) -> None:
    model = make_clip(vision={"layers": [1, 1, 1, 1], "width": 8, "image_size": 32})
    layers = find_layers(model, (), TextTower(model).blocks)
    found = freeze(model, layers, ["image"], norms=False)
    model.train()
    for module in found.modules:
        module.eval()
    before = model.visual.bn1.running_mean.clone()
    model.encode_image(torch.randn(4, 3, 32, 32, dtype=torch.float64))
    assert torch.equal(model.visual.bn1.running_mean, before)
    with pytest.raises(ConfigError, match=r"model\.freeze=image:2: the image tower has no blocks"):
        freeze(model, layers, ["image:2"], norms=False)


def test_what_cannot_be_frozen_is_a_sentence(make_clip: Any) -> None:
    with pytest.raises(ConfigError, match=r"model\.freeze=image:3: the image tower has 2 blocks; give fewer, or image"):
        frozen_by_us(make_clip(), "image:3")
    with pytest.raises(ConfigError, match=r"\['image', 'text'\] leaves nothing to train but the logit scale"):
        frozen_by_us(make_clip(), "image", "text")


@pytest.mark.parametrize("given", ["vision", "image:x", "image:-1", ["image", "image:2"]])
def test_parts_that_are_none(given: Any) -> None:
    with pytest.raises(ValueError, match=r"part of a tower; give image, text|names a tower twice"):
        ModelConfig(freeze=given)
    assert ModelConfig(freeze="image").freeze == ("image",)
