"""Where in its tower a parameter lies: before the blocks, in which of them, or behind.

The first layers of a pretrained model are kept (frozen) or moved gently (layer-wise rate decay), the last ones learn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn

_BEFORE = re.compile(
    r"(^|\.)(conv1|class_embedding|positional_embedding|ln_pre|token_embedding|cls_emb|patch_embed|cls_token|reg_token"
    r"|pos_embed|norm_pre|embeddings|shared|embed_tokens)(\.|$)"
)
"""What a sequence goes through before the first block: open_clip's names, timm's, and those of transformers."""

_LAST_NORM = re.compile(r"(^|\.)(ln_post|ln_final|norm|final_layer_norm)(\.|$)")
"""Goes with the last block, as timm and open_clip group it."""


class Layer(NamedTuple):
    """The place of a parameter."""

    tower: str
    """`image`, `text`, or empty for the temperature, which belongs to neither."""
    depth: int
    """0 before the blocks, 1 in the first of them, and one more than there are blocks behind them, in the head."""
    blocks: int
    """Blocks of the tower; 0 where it has none that are alike."""


class Layers(NamedTuple):
    """The layers of a model."""

    places: Mapping[str, Layer] = MappingProxyType({})
    """Of all parameters, by name."""
    blocks: Mapping[str, Sequence[nn.Module]] = MappingProxyType({"image": (), "text": ()})
    """Of each tower, in order."""


def find_layers(model: Any, image_blocks: Sequence[nn.Module], text_blocks: Sequence[nn.Module]) -> Layers:
    """Place all parameters of a model of open_clip.

    Args:
        image_blocks: of the image tower, in order.
        text_blocks: of the text tower; those of a Hugging Face tower are found when none are given.
    """
    blocks = {"image": list(image_blocks), "text": list(text_blocks) or _largest_list(getattr(model, "text", None))}
    inside = {
        id(parameter): number
        for modules in blocks.values()
        for number, module in enumerate(modules, 1)
        for parameter in module.parameters()
    }
    places = {}
    for name, parameter in model.named_parameters():
        tower = "" if name.startswith("logit_") else "image" if name.startswith("visual.") else "text"
        count = len(blocks.get(tower, ()))
        depth = inside.get(id(parameter))
        if depth is None:
            before, last = bool(_BEFORE.search(name)), bool(_LAST_NORM.search(name))
            depth = 0 if tower and before else count + (not (tower and last and count))
        places[name] = Layer(tower, depth, count)
    return Layers(places, blocks)


def rate_share(layer: Layer, decay: float) -> float:
    """The share of the learning rate that a layer has: 1 in the head, and `decay` times that of the next before.

    As timm's `param_groups_layer_decay` and BEiT's recipe (arXiv 2106.08254, appendix), in each tower by itself.
    """
    return decay ** (layer.blocks + 1 - layer.depth)


class Passes(NamedTuple):
    """What a step of each tower costs, in forward passes: 3 when all of it is trained, 1 when nothing is.

    A block's gradient of its input counts one pass, that of its weights another. Neither is made below the first layer
    that is trained.
    """

    image: float = 3.0
    text: float = 3.0


def count_passes(model: nn.Module, layers: Layers) -> Passes:
    """Count them from which parameters are trained."""
    trained: dict[str, list[tuple[int, bool]]] = {"image": [], "text": []}
    for name, parameter in model.named_parameters():
        tower, depth, _ = layers.places[name]
        if parameter.requires_grad and tower:
            trained[tower].append((depth, parameter.ndim > 1))
    return Passes(*(_passes(trained[tower], len(layers.blocks[tower])) for tower in ("image", "text")))


def _passes(trained: list[tuple[int, bool]], blocks: int) -> float:
    if not trained or blocks == 0:
        return 3.0 if trained else 1.0
    first = max(1, min(depth for depth, _ in trained))
    weights = {depth for depth, is_matrix in trained if is_matrix and 1 <= depth <= blocks}
    return 1 + max(0, blocks + 1 - first) / blocks + len(weights) / blocks


def _largest_list(tower: nn.Module | None) -> list[nn.Module]:
    """The layers of a text tower that nobody describes: the largest list of modules that are all of one class."""
    lists = [] if tower is None else [one for one in tower.modules() if isinstance(one, nn.ModuleList) and len(one)]
    alike = [one for one in lists if len({type(child) for child in one}) == 1]
    return list(max(alike, key=lambda one: sum(weight.numel() for weight in one.parameters()), default=()))
