"""What a training sample of a run costs, as a function of the share of patches that it shows."""

from __future__ import annotations

from pgsclip.config.schema import RunConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import build_model
from pgsclip.models.flops import FORWARD_AND_BACKWARD, pair_flops
from pgsclip.report.compare import Cost

_CAPTION = 20
"""Tokens of a web caption with its two markers, about, as the plan of a run has it."""


def cost_of(config: RunConfig | None) -> Cost:
    """Forward and backward, three times the forward pass; weights that cannot be had do not matter for it."""
    if config is None:
        return lambda kept: 0.0
    try:
        built = build_model(config.model.model_copy(update={"pretrained": None}), seed=0, loss_has_bias=False)
        flops = pair_flops(built)
    except ModelError:
        return lambda kept: 0.0
    text = flops.text.at(float(min(_CAPTION, built.context_length)))
    return lambda kept: FORWARD_AND_BACKWARD * (flops.image.at(kept * built.patches) + text)
