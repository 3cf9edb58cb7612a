from __future__ import annotations

from typing import Any

import pytest

from pgsclip.errors import PluginError
from pgsclip.losses.contrastive import ClipLoss, SigLipLoss
from pgsclip.losses.registry import load_main_loss
from pgsclip.testing import check_loss


class Old:
    """Is built with `block`, as before 0.1.0."""

    needs_bias = False

    def __init__(self, *, rank: int, world_size: int, block: int) -> None: ...


class Term:
    """Compares views."""

    fewest_views = 2


def test_main_losses_are_found_by_name() -> None:
    assert (load_main_loss("clip"), load_main_loss("siglip")) == (ClipLoss, SigLipLoss)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Old, r"cannot be built: .* logits_per_chunk since 0\.1\.0, of which the last was called block"),
        (Term, r"is an auxiliary loss, .* --set 'loss\.auxiliary="),
        (dict, r"is not a loss: a loss is a class with needs_bias"),
    ],
)
def test_what_is_no_main_loss_is_a_sentence(kind: Any, said: str) -> None:
    name = f"{kind.__module__}:{kind.__name__}"
    with pytest.raises(PluginError, match=said):
        load_main_loss(name)


def test_the_kit_tells_how_a_main_loss_is_built() -> None:
    with pytest.raises(AssertionError, match=r"built with rank, world_size and logits_per_chunk"):
        check_loss(Old)
