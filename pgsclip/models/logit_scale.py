"""The two numbers between cosines and logits: every loss has the scale, that of SigLIP the bias as well."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

SCALE, BIAS = "logit_scale", "logit_bias"
SIGLIP_SCALE, SIGLIP_BIAS = math.log(10), -10.0
"""With which the SigLIP loss begins (arXiv 2303.15343, section 3)."""


def has_bias(model: Any) -> bool:
    """Whether a model of open_clip holds a bias."""
    return getattr(model, BIAS, None) is not None


def give_bias(model: Any) -> None:
    """Let scale and bias begin as those of the SigLIP loss."""
    shape = model.logit_scale.shape
    with torch.no_grad():
        model.logit_scale.fill_(SIGLIP_SCALE)
    model.logit_bias = nn.Parameter(torch.full(shape, SIGLIP_BIAS))


def take_bias(model: Any) -> None:
    """Leave a bias out, which no loss but SigLIP's trains."""
    model.logit_bias = None
