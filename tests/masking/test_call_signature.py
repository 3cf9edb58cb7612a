from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from pgsclip.masking.call_signature import takes_one_value
from pgsclip.masking.maskers.random import RandomMasker


class _One:
    def __call__(self, inputs: Any) -> None: ...


class _OneAndMore:
    def __call__(self, inputs: Any, *, scale: float = 1.0) -> None: ...


class _Anything:
    def __call__(self, *given: Any, **named: Any) -> None: ...


class _None:
    def __call__(self) -> None: ...


class _Named:
    def __call__(self, *, inputs: Any) -> None: ...


class _Two:
    def __call__(self, images: Any, patches: Any) -> None: ...


class _Module(nn.Module):
    def forward(self, inputs: Any) -> None: ...


class _OldModule(nn.Module):
    def forward(self, images: Any, patches: Any, *, progress: float) -> None: ...


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        (_One, True),
        (_OneAndMore, True),
        (_Anything, True),
        (RandomMasker, True),
        (_Module, True),
        (_None, False),
        (_Named, False),
        (_Two, False),
        (_OldModule, False),
        (object, False),
    ],
)
def test_one_value_is_what_the_signature_must_take(kind: type, fits: bool) -> None:
    assert takes_one_value(kind) is fits
