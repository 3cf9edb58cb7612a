"""From the name of a loss to its class, or to a term that is ready to be added."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from pgsclip import plugins
from pgsclip.config.fields import PluginConfig
from pgsclip.config.params import PluginParams, check_params
from pgsclip.errors import PluginError
from pgsclip.losses.auxiliary import Sizes
from pgsclip.seeding import derive

BUILT_WITH = (
    "a main loss is built with rank, world_size and logits_per_chunk since 0.1.0, of which the last was called block"
)


def load_main_loss(name: str) -> type[Any]:
    """Load the class of a main loss, or `package.module:Class`.

    Raises:
        PluginError: no such loss, an auxiliary one, or a class that cannot be built as the contract says.
    """
    kind: Any = plugins.load(plugins.LOSSES, name)
    what = plugins.describe(plugins.LOSSES, name)
    if hasattr(kind, "fewest_views"):
        raise PluginError(
            f"The {what} is an auxiliary loss, which is added to a main one; give it as "
            f"--set 'loss.auxiliary=[{name}]'."
        )
    if not hasattr(kind, "needs_bias"):
        raise PluginError(
            f"{name!r}{plugins.describe_origin(plugins.LOSSES, name)} is not a loss: a loss is a class with needs_bias "
            f"and __call__, built with rank, world_size and logits_per_chunk. See "
            f"pgsclip.losses.contrastive.ContrastiveLoss, or take clip or siglip."
        )
    if not is_built_as_agreed(kind):
        raise PluginError(
            f"The {what} cannot be built: {BUILT_WITH}. pgsclip.testing.check_loss tells its author more."
        )
    loss: type[Any] = kind
    return loss


def is_built_as_agreed(kind: type) -> bool:
    """False for a main loss whose constructor takes other arguments, by its signature; nothing of it runs."""
    try:
        inspect.signature(kind).bind(rank=0, world_size=1, logits_per_chunk=1)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True


def build_auxiliary(given: PluginConfig, sizes: Sizes, seed: int) -> nn.Module:
    """Build the registered term, or `package.module:Class`; no global generator moves.

    Raises:
        PluginError: no such loss, no auxiliary one, parameters that it refuses, or fewer views than it compares.
    """
    kind: Any = plugins.load(plugins.LOSSES, given.name)
    what = plugins.describe(plugins.LOSSES, given.name)
    if hasattr(kind, "needs_bias"):
        raise PluginError(f"The {what} is a main loss and not an auxiliary one; give it as loss.name={given.name}.")
    model = getattr(kind, "Params", None)
    declared = isinstance(model, type) and issubclass(model, PluginParams)
    marks = all(hasattr(kind, mark) for mark in ("fewest_views", "wants_masker_features", "features"))
    if model is None or not (declared and marks and nn.Module in getattr(kind, "__mro__", ())):
        raise PluginError(
            f"The {what} is no auxiliary loss: that is an nn.Module with Params (from PluginParams), fewest_views, "
            f"wants_masker_features, features and forward. `pgsclip.testing.check_loss` tells its author what "
            f"is missing."
        )
    params = check_params(what, model, given.params, PluginError)
    if sizes.views < kind.fewest_views:
        raise PluginError(
            f"The {what} compares {kind.fewest_views} views of an image and data.views is {sizes.views}; "
            f"set data.views={kind.fewest_views}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "loss", given.name))
        built: nn.Module = kind(params, sizes)
    return built
