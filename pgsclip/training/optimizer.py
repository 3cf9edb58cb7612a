"""AdamW with open_clip's parameter groups, and the learning rate of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from pgsclip.config.schema import OptimConfig
from pgsclip.errors import ConfigError
from pgsclip.models.layers import Layers, rate_share

_UNDECAYED = ("bn", "ln", "bias", "logit_scale")


def build_optimizer(
    model: nn.Module, config: OptimConfig, shares: Mapping[int, float] = MappingProxyType({})
) -> torch.optim.AdamW:
    """Build AdamW: weight matrices decay; gains, biases, class embedding and logit scale do not.

    Frozen parameters are in no group. Without `shares` there are two groups, those that do not decay first.

    Args:
        shares: of the learning rate, by the identity of a parameter; all of it for those that are not there.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    decayed, kept = split_parameters(model)
    for decay, parameters in ((0.0, kept), (config.weight_decay, decayed)):
        for parameter in parameters:
            groups.setdefault((shares.get(id(parameter), 1.0), decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "share_of_lr": share}
            for (share, decay), parameters in groups.items()
        ],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=True,  # one pass over memory, and it leaves out a step whose gradient is not finite by itself
    )


def layer_shares(model: nn.Module, layers: Layers, decay: float) -> dict[int, float]:
    """Shares of the learning rate that fall with each layer before the last, by the identity of a parameter.

    Raises:
        ConfigError: a tower has no layers to count.
    """
    if decay == 1:
        return {}
    without = [tower for tower, blocks in layers.blocks.items() if not blocks]
    if without:
        raise ConfigError(
            f"optim.layer_decay={decay:g} counts the blocks of both towers, and the {without[0]} tower has none that "
            f"are alike; leave it out, or take a model with a ViT."
        )
    return {id(weight): rate_share(layers.places[name], decay) for name, weight in model.named_parameters()}


def set_learning_rate(optimizer: Any, lr: float) -> None:
    """Set the rate of the last layer of each tower; those before it have their share."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["share_of_lr"]


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(with weight decay, without), split as open_clip does: by dimensions, and by words in the name."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or any(word in name for word in _UNDECAYED)
            (kept if plain else decayed).append(parameter)
    return decayed, kept


def learning_rate(step: int, total: int, config: OptimConfig) -> float:
    """Of step 0 .. total-1: linear warm-up over `warmup_steps`, then half a cosine down to zero.

    The same values as open_clip's `cosine_lr`.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def leave_out_unless_finite(optimizer: torch.optim.Optimizer, clip: float | None) -> Tensor:
    """Clip the gradients to norm `clip`, and have the fused optimiser's next step do nothing if they are not finite.

    Nothing waits for the device: the fused kernels look at `found_inf` themselves, as they do for gradient scalers.

    Returns:
        () bool on the device: whether that step will do nothing.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip is not None:
        nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    left_out = ~torch.isfinite(norm)
    optimizer.found_inf = left_out.float()  # type: ignore[attr-defined]
    return left_out
