"""The oracle is each library's own model: its own embeddings, the chosen rows of them, its own blocks; in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, ClassVar

import open_clip
import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

import pgsclip
from pgsclip.errors import MaskerError, ModelError, PluginError
from pgsclip.masked_tower import MaskedTower
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores, Vision

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TIMM = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}


def open_clip_vit() -> nn.Module:
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 1, "layers": 1}
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
    model: nn.Module = open_clip.CLIP(16, vision, text).visual
    return model


TOWERS: dict[str, Callable[[], nn.Module]] = {
    "open_clip": open_clip_vit,
    "timm": lambda: VisionTransformer(**TIMM, num_classes=7),
    "timm with registers": lambda: VisionTransformer(**TIMM, num_classes=0, reg_tokens=3, global_pool="avg"),
    "timm without a class token": lambda: VisionTransformer(**TIMM, class_token=False, global_pool="map"),
    "transformers": lambda: CLIPVisionModel(CLIPVisionConfig(**SIZES, image_size=32, patch_size=8)),
    "transformers with projection": lambda: CLIPVisionModelWithProjection(
        CLIPVisionConfig(**SIZES, image_size=32, patch_size=8, projection_dim=12)
    ),
}


def build(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = TOWERS[name]()
        with torch.no_grad():
            for parameter in tower.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))  # class tokens and biases start at almost nothing
    return tower.double()


def plain(tower: Any, images: Tensor) -> Tensor:
    """What the tower makes of whole images."""
    output = tower(images)
    if isinstance(tower, CLIPVisionModelWithProjection):
        output = output.image_embeds
    elif isinstance(tower, CLIPVisionModel):
        output = output.pooler_output
    return output  # type: ignore[no-any-return]


def on_kept(tower: Any, image: Tensor, keep: Tensor) -> Tensor:
    """What the tower's own modules make of some patches of one image (1, 3, H, W)."""
    if isinstance(tower, VisionTransformer):
        tokens = tower._pos_embed(tower.patch_embed(image))
        first = tower.num_prefix_tokens
        hidden = torch.cat([tokens[:, :first], tokens[:, first:][:, keep]], dim=1)
        hidden = tower.norm_pre(hidden)
        for block in tower.blocks:
            hidden = block(hidden)
        return tower.forward_head(tower.norm(hidden))
    if isinstance(tower, CLIPVisionModel | CLIPVisionModelWithProjection):
        core = getattr(tower, "vision_model", tower)
        tokens = core.embeddings(image)
        hidden = core.pre_layrnorm(tokens[:, [0, *(keep + 1).tolist()]])
        for layer in core.encoder.layers:
            given = signature(layer.forward).parameters  # before 5 two masks are asked for, and a tuple comes back
            output = layer(hidden, **dict.fromkeys(given.keys() & {"attention_mask", "causal_attention_mask"}))
            hidden = output[0] if isinstance(output, tuple) else output
        pooled = core.post_layernorm(hidden[:, 0])
        return tower.visual_projection(pooled) if hasattr(tower, "visual_projection") else pooled
    dropout = tower.patch_dropout
    tower.patch_dropout = Rows(torch.cat([torch.zeros(1, dtype=torch.long), keep + 1]))
    try:
        return tower(image)  # type: ignore[no-any-return]
    finally:
        tower.patch_dropout = dropout


class Rows(nn.Module):
    """In the place of open_clip's `patch_dropout`."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.rows]


@pytest.fixture
def images() -> Tensor:
    """Noise beside a plain part that is larger in each, so that a masker that chooses chooses differently."""
    found = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for number, image in enumerate(found):
        image[:, :, : 6 * number] = 0.3
    return found


def shown(masked: MaskedTower) -> dict[int, Tensor]:
    return {int(row): kept for rows, keep in masked.chosen for row, kept in zip(rows, keep, strict=True)}


@pytest.mark.parametrize("ratio", [0.5, "0.2:0.8"])
@pytest.mark.parametrize("name", TOWERS)
def test_each_image_is_what_the_tower_s_own_blocks_make_of_its_patches(name: str, ratio: Any, images: Tensor) -> None:
    tower = build(name).train()
    masked = pgsclip.masked(tower, "pgs", ratio=ratio, max_passes=3)
    features = masked(images, progress=0.3)
    kept = shown(masked)
    assert sorted(kept) == list(range(5))
    if ratio == 0.5:
        assert all(len(keep) == 8 == len(keep.unique()) for keep in kept.values())
    else:
        assert len({len(keep) for keep in kept.values()}) > 1
    assert masked.kept == pytest.approx(sum(map(len, kept.values())) / (5 * 16))
    for row, keep in kept.items():
        torch.testing.assert_close(features[row], on_kept(tower, images[row : row + 1], keep)[0])
    assert not torch.allclose(features, plain(tower, images))


@pytest.mark.parametrize("name", TOWERS)
def test_with_all_patches_it_is_the_plain_model(name: str, images: Tensor) -> None:
    tower = build(name)
    expected = plain(tower.eval(), images)
    masked = pgsclip.masked(tower, "pgs")
    torch.testing.assert_close(masked.eval()(images), expected)
    assert (masked.kept, masked.chosen) == (1.0, [])
    torch.testing.assert_close(pgsclip.masked(tower, "none").train()(images), expected)


@pytest.mark.parametrize("name", ["open_clip", "timm", "transformers with projection"])
def test_it_trains_the_tower_and_the_tower_stays_what_it_is(name: str, images: Tensor) -> None:
    tower = build(name)
    names = list(tower.state_dict())
    masked = pgsclip.masked(tower, "random").train()
    assert list(masked.parameters()) == list(tower.parameters())
    assert list(tower.state_dict()) == names
    features = masked(images)
    (features * torch.linspace(-1, 2, features.numel()).reshape(features.shape)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tower.parameters())
    twin = copy.deepcopy(masked)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.zero_()
    assert twin(images).abs().sum() > 0  # of weights of its own


def test_masks_change_from_call_to_call_and_come_back_with_the_seed(images: Tensor) -> None:
    def masks(seed: int) -> list[Tensor]:
        masked = pgsclip.masked(tower, "random", seed=seed).train()
        return [torch.stack([*shown(masked).values()]) for _ in range(2) if masked(images) is not None]

    tower = build("timm")
    state = torch.random.get_rng_state()
    first, again, other = masks(0), masks(0), masks(1)
    assert torch.equal(torch.stack(first), torch.stack(again))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.random.get_rng_state(), state)


class Watcher:
    """A masker that looks with the tower; remembers what it was called with."""

    class Params(MaskerParams):
        """None."""

    chooses_ratio: ClassVar[bool] = False
    said: ClassVar[list[Any]] = []

    def __init__(self, params: MaskerParams) -> None:
        pass

    def start(self, vision: Vision) -> None:
        self.copy = vision.copy()

    def observe(self, vision: Vision, *, progress: float) -> None:
        self.said.append(progress)

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        attention = self.copy.attend(inputs.images)[1]
        self.said.append(attention)
        return MaskScores(attention.mean(dim=(1, 2)))


def test_a_masker_may_look_with_the_model(images: Tensor) -> None:
    """transformers tells its own attention, which is the oracle."""
    tower: Any = build("transformers")
    tower.set_attn_implementation("eager")
    Watcher.said.clear()
    masked = pgsclip.masked(tower, f"{__name__}:Watcher").train()
    masked(images)
    masked.observe(progress=0.25)
    attention, progress = Watcher.said
    assert progress == 0.25
    own = torch.stack(tower(images, output_attentions=True).attentions, dim=1)[:, :, :, 0, 1:]
    torch.testing.assert_close(attention, own.float())


@pytest.mark.parametrize(
    ("tower", "said"),
    [
        (lambda: timm.create_model("resnet18"), r"ResNet cannot hide patches: only ViTs can.*Take a ViT model"),
        (lambda: nn.Sequential(), r"Sequential cannot hide patches"),
    ],
)
def test_towers_without_patches_are_sentences(tower: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        pgsclip.masked(tower(), "pgs")


def test_a_whole_model_is_told_which_part_to_give() -> None:
    whole = nn.Module()
    whole.visual = open_clip_vit()
    with pytest.raises(ModelError, match=r"seems to be a whole model: give its \.visual"):
        pgsclip.masked(whole, "pgs")


def test_mistakes_are_sentences(images: Tensor) -> None:
    tower = build("timm")
    with pytest.raises(MaskerError, match=r"'random' does not choose a ratio per image"):
        pgsclip.masked(tower, "random", ratio="0.3:0.5")
    with pytest.raises(PluginError, match="Did you mean 'pgs'"):
        pgsclip.masked(tower, "pgss")
    with pytest.raises(MaskerError, match="edgez"):
        pgsclip.masked(tower, "pgs", params={"edgez": False})
    with pytest.raises(MaskerError, match=r"progress: 2\.0 is outside \[0, 1\]"):
        pgsclip.masked(tower, "pgs").train()(images, progress=2.0)


def test_ranks_that_shard_a_tower_run_equally_many_passes_whatever_they_see() -> None:
    masked = pgsclip.masked(build("open_clip"), "pgs", ratio=(0.2, 0.8), max_passes=3).train()
    masked(torch.zeros(5, 3, 32, 32, dtype=torch.float64), progress=0.0)
    assert len({keep.shape[1] for _, keep in masked.chosen}) == 1, "images that are alike ask for equally much"
    assert len(masked.chosen) == 3
