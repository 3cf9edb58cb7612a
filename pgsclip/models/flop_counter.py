"""Adds up the FLOPs of whatever runs on tensors without numbers, and runs no layer twice.

A tower is mostly the same layer many times over. The first of them is run and counted; all that are like it, on inputs
of the same shapes, come to the same number and to outputs of the same shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import flop_registry

_CHANCE = re.compile(r"drop_prob=[^,)]*")
"""How often a layer is left out in training grows from one to the next; nothing is left out where FLOPs are counted."""
_Known = dict[Hashable, tuple[int, Any]]
"""Kind of a layer with the shapes of its inputs → FLOPs, and what it gave."""


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context: `total` is what has run in it, a multiplication and an addition counted as two.

    It also answers towers that ask for a single value, which tensors without numbers do not have: yes, or one. Hugging
    Face towers ask whether a caption is padded nowhere, and leave a mask out; products stay the same.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return True if args[0].dtype == torch.bool else 1
        out = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += int(count(*args, **kwargs, out_val=out))
        return out

    def run_like_layers_once(self, model: nn.Module) -> None:
        """Let the layers of a model, which is changed by it, remember what others like them came to."""
        known: _Known = {}
        for parent in model.modules():
            if isinstance(parent, nn.ModuleList | nn.Sequential) and len(parent) > 1:
                for layer in parent:
                    self._remember(layer, known)

    def _remember(self, layer: nn.Module, known: _Known) -> None:
        run: Callable[..., Any] = layer.forward
        kind = (
            type(layer),
            _CHANCE.sub("", repr(layer)),
            tuple(tensor.shape for tensor in layer.state_dict().values()),
        )

        def forward(*args: Any, **kwargs: Any) -> Any:
            try:
                key = (kind, _shapes((args, kwargs)))
                hash(key)
            except TypeError:  # an input that may be changed, such as a cache
                return run(*args, **kwargs)
            if key not in known:
                before = self.total
                out = run(*args, **kwargs)
                known[key] = (self.total - before, out)
                return out
            flops, out = known[key]
            self.total += flops
            return out

        layer.forward = forward


def _shapes(given: Any) -> Hashable:
    leaves, structure = tree_flatten(given)
    seen = tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
    return seen, str(structure)
