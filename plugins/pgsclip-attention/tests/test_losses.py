from __future__ import annotations

import torch
from pgsclip_attention.online_to_ema import OnlineToEma, OnlineToEmaParams, mlp
from pgsclip_attention.simclr import SimClr, SimClrParams
from torch import Tensor
from torch.nn import functional as F

from pgsclip.losses.auxiliary import Seen, Sizes
from pgsclip.testing import check_loss

SIZES = Sizes(width=6, vocabulary=40, views=2)


def seen() -> Seen:
    generator = torch.Generator().manual_seed(0)
    images, pooled, teacher = (torch.randn(5, 2, n, generator=generator) for n in (4, 6, 6))
    return Seen(images, pooled, torch.randn(5, 4, generator=generator), torch.ones(5, 3, dtype=torch.long), teacher)


def test_they_keep_the_contract() -> None:
    check_loss(SimClr, SimClrParams(hidden=16, size=8))
    check_loss(OnlineToEma, OnlineToEmaParams(hidden=16, size=8))


def test_published_weights_are_the_defaults() -> None:
    assert (SimClrParams().weight, SimClrParams().temperature) == (1.0, 0.1)
    assert (OnlineToEmaParams().weight, OnlineToEmaParams().momentum) == (2.0, 0.996)
    assert {SimClrParams().hidden, OnlineToEmaParams().hidden} == {4096}
    assert {SimClrParams().size, OnlineToEmaParams().size} == {256}


def test_simclr_is_nt_xent_over_all_other_rows() -> None:
    """Equation 1 of arXiv 2002.05709, row by row over 2N embeddings, in float64."""
    views = torch.randn(5, 2, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = F.normalize(views.transpose(0, 1).reshape(10, 8), dim=-1)
    costs = []
    for i in range(10):
        match = (i + 5) % 10
        others = torch.stack([rows[i] @ rows[k] / 0.1 for k in range(10) if k != i])
        costs.append(others.logsumexp(0) - rows[i] @ rows[match] / 0.1)
    found = SimClr(SimClrParams(hidden=16, size=8), SIZES)({"embedding": views})
    torch.testing.assert_close(found, torch.stack(costs).mean())


def test_online_to_ema_is_two_minus_two_cosines_and_only_the_online_side_learns() -> None:
    term = OnlineToEma(OnlineToEmaParams(hidden=16, size=8, weight=3.0), SIZES)
    features = term.features(seen())
    online, mean = (features[name].reshape(10, 8) for name in ("online", "mean"))
    by_hand = [2 - 2 * (a @ b) / (a.norm() * b.norm()) for a, b in zip(online, mean, strict=True)]
    torch.testing.assert_close(term(features), 3 * torch.stack(by_hand).mean())
    assert not mean.requires_grad
    assert online.requires_grad


def test_the_mean_projector_starts_as_the_projector_and_follows() -> None:
    term = OnlineToEma(OnlineToEmaParams(hidden=16, size=8, momentum=0.5), SIZES)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))

    def mean_of(x: Tensor) -> Tensor:
        return mlp(x, *(term.get_buffer(name) for name in term.means))

    torch.testing.assert_close(mean_of(x), term.projector(x).detach())
    before = term.mean_0.clone()
    with torch.no_grad():
        term.projector.first.weight.add_(1)
        term.observe(progress=0.0)
    torch.testing.assert_close(term.mean_0, before + 0.5)
    with torch.no_grad():
        term.observe(progress=1.0)
    torch.testing.assert_close(term.mean_0, before + 0.5)
