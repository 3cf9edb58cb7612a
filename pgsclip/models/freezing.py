"""Parts of a model that stay as they are: locked-image tuning (LiT, arXiv 2111.07991), the first blocks of a tower."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from torch import nn

from pgsclip.errors import ConfigError
from pgsclip.models.layers import Layers


class Frozen(NamedTuple):
    """What is not trained."""

    sentence: str = ""
    """For the start of a run; empty where everything is trained."""
    modules: tuple[nn.Module, ...] = ()
    """In evaluation mode while the others train: no dropout, and no statistics of batches."""


def freeze(model: Any, layers: Layers, parts: Sequence[str], *, norms: bool) -> Frozen:
    """Take parts of a model out of training: no gradient, no optimiser state, no weight decay.

    Args:
        parts: `image` or `text` for a whole tower, its projection included; `image:6` for what lies before its blocks
            and the first six of them, as open_clip's `lock` groups them.
        norms: gains and biases of the norms in these parts are trained all the same.

    Raises:
        ConfigError: a tower has fewer blocks, or nothing is left to train.
    """
    if not parts:
        return Frozen()
    places, blocks = layers
    depths = {tower: _depth(tower, count, blocks[tower]) for tower, _, count in (part.partition(":") for part in parts)}
    kept = _weights_of_norms(model) if norms else set()
    numbers = dict.fromkeys(depths, 0)
    for name, parameter in model.named_parameters():
        tower, depth, _ = places[name]
        if depth <= depths.get(tower, -1) and id(parameter) not in kept:
            parameter.requires_grad_(False)
            numbers[tower] += parameter.numel()
    if not any(parameter.requires_grad and places[name].tower for name, parameter in model.named_parameters()):
        raise ConfigError(
            f"model.freeze={list(parts)} leaves nothing to train but the logit scale; freeze one tower, or a part."
        )
    resting = chain.from_iterable(_modules(model, tower, depth, blocks[tower]) for tower, depth in depths.items())
    return Frozen(_describe(parts, numbers, norms), (*resting, *_wholly_frozen(model)))


def _weights_of_norms(model: nn.Module) -> set[int]:
    """Identify the gains and biases of all norms."""
    return {id(weight) for module in model.modules() if _is_norm(module) for weight in module.parameters()}


def _describe(parts: Sequence[str], numbers: dict[str, int], norms: bool) -> str:
    said = ", ".join(f"{part} ({numbers[part.partition(':')[0]] / 1e6:.1f} M parameters)" for part in parts)
    return f"Frozen: {said}{'; their norms are trained' if norms else ''}."


def _depth(tower: str, count: str, blocks: Sequence[nn.Module]) -> int:
    if not count:
        return len(blocks) + 1
    if int(count) > len(blocks):
        has = f"has {len(blocks)} blocks" if blocks else "has no blocks that could be counted"
        raise ConfigError(
            f"model.freeze={tower}:{count}: the {tower} tower {has}; give fewer, or {tower} for all of it."
        )
    return int(count)


def _modules(model: Any, tower: str, depth: int, blocks: Sequence[nn.Module]) -> list[nn.Module]:
    """Those that hold the frozen layers; of a tower that is frozen in part, the blocks, where dropout is."""
    if depth <= len(blocks):
        return list(blocks[:depth])
    if tower == "image":
        return [model.visual]
    text = getattr(model, "text", None)
    return [text] if text is not None else [model.token_embedding, model.transformer, model.ln_final]


def _wholly_frozen(module: nn.Module) -> list[nn.Module]:
    """The largest modules of which nothing is trained, such as a stem of convolutions with its batch norms."""
    weights = list(module.parameters())
    if weights and not any(weight.requires_grad for weight in weights):
        return [module]
    return [found for child in module.children() for found in _wholly_frozen(child)]


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__ and not list(module.children())
