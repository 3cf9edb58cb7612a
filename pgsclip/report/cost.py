"""Cost of a training sample of a run, as a function of the share of patches that it shows."""

from __future__ import annotations

from pgsclip.config.schema import RunConfig
from pgsclip.errors import ModelError
from pgsclip.models.build import build_model
from pgsclip.models.flops import pair_flops
from pgsclip.report.curves import Cost

_CAPTION_TOKENS = 20
"""Length of a web caption with its two markers, about, as the plan of a run has it."""


def build_cost(config: RunConfig | None) -> Cost:
    """Build the cost function of a run: FLOPs of the forward and backward passes that its
    trained parts need.

    It needs no weights. Without a config, and for models that cannot be counted, the cost is 0.
    """
    if config is None:
        return lambda kept: 0.0
    model = config.model.model_copy(update={"pretrained": None})
    try:
        built = build_model(model, seed=0, loss_has_bias=False, begin=False, numbers=False)
        flops = pair_flops(built)
    except ModelError:
        return lambda kept: 0.0
    text = built.passes.text * flops.text.at(float(min(_CAPTION_TOKENS, built.context_length)))
    return lambda kept: built.passes.image * flops.image.at(kept * built.patches) + text
