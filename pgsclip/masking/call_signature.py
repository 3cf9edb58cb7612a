"""Whether a masker can be called as its contract says, found out before the first call.

Before 0.1.0 a masker took images, patches, progress and generator one by one; its author is told what changed.
"""

from __future__ import annotations

import inspect

from torch import nn

IMAGE_CALL = (
    "`__call__` takes one MaskInputs since 0.1.0: use inputs.images, inputs.patches, inputs.grid, inputs.progress and "
    "inputs.generator"
)
TEXT_CALL = (
    "`__call__` takes one TextMaskInputs since 0.1.0: use inputs.ids, inputs.lengths, inputs.progress and "
    "inputs.generator"
)


def takes_one_value(kind: type) -> bool:
    """False for a class whose call is no function of one value, by its signature; nothing of it runs."""
    name = "forward" if issubclass(kind, nn.Module) else "__call__"  # a module's own call takes anything
    call = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
    if call is None:
        return False
    try:
        inspect.signature(call).bind("self", "inputs")
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True
