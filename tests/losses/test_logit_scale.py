from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsclip.losses.logit_scale import CappedExp


@settings(max_examples=60, deadline=None)
@given(log_scale=st.floats(-3, 8, width=32), cap=st.floats(0.5, 5, width=32), gradient=st.floats(-3, 3, width=32))
def test_the_scale_is_capped_and_above_the_cap_only_lowered(log_scale: float, cap: float, gradient: float) -> None:
    parameter = torch.tensor([log_scale], dtype=torch.float32, requires_grad=True)
    value = CappedExp.apply(parameter, cap)
    assert value.item() == pytest.approx(math.exp(min(parameter.item(), cap)), rel=1e-5)
    (value * gradient).sum().backward()
    assert parameter.grad is not None
    slope = gradient * value.item()  # descent goes against it: a negative slope would raise the scale
    raised_beyond = parameter.item() > cap and slope < 0
    assert parameter.grad.item() == pytest.approx(0 if raised_beyond else slope, rel=1e-4, abs=1e-6)


def test_below_the_cap_the_gradient_is_that_of_exp() -> None:
    inputs = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad((inputs.exp() * torch.tensor([1.0, -2.0, 3.0])).sum(), inputs)[0]
    found = torch.autograd.grad((CappedExp.apply(inputs, 4.0) * torch.tensor([1.0, -2.0, 3.0])).sum(), inputs)[0]
    torch.testing.assert_close(found, expected.double(), atol=1e-5, rtol=1e-5)
