"""The contract of text maskers as one call, for our tests and for authors of plugins.

Every failed check is an AssertionError whose message says what to change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pgsclip.masking.call_signature import TEXT_CALL, takes_one_value
from pgsclip.masking.contract import MaskerParams
from pgsclip.masking.text.contract import TextMasker, TextMaskInputs
from pgsclip.masking.text.shorten import shorten

_VOCABULARY = 50


def counts_for_checks() -> Tensor:
    """(50,) counts: token 1 is the commonest, token 49 the rarest."""
    return (10_000 / torch.arange(1, _VOCABULARY + 1) ** 2).long()


def check_text_masker(masker: TextMasker, *, random: bool = True) -> None:
    """Hold a text masker against the whole contract.

    Args:
        masker: an instance for 50 tokens, built as `cls(cls.Params(), counts_for_checks())`.
        random: whether two generator states must give different scores; False for one without chance.

    Raises:
        AssertionError: with what is wrong and what to do about it.
    """
    kind = type(masker)
    params = getattr(kind, "Params", None)
    assert isinstance(params, type), "Declare `Params`, a class derived from MaskerParams, on the text masker's class."
    assert issubclass(params, MaskerParams), f"Params must derive from MaskerParams, not {params.__mro__[1].__name__}."
    assert isinstance(getattr(kind, "needs_counts", None), bool), (
        "Declare `needs_counts` on the class: True if the constructor wants a pass over the captions, else False."
    )
    assert (kind.__doc__ or "").strip(), "Write a docstring on the text masker's class."
    assert takes_one_value(kind), f"{TEXT_CALL}."
    for batch, width in ((3, 12), (1, 3)):
        captions = _captions(batch, width)
        scores = _call(masker, captions)
        _check_scores(masker, captions, scores)
        if random and width > 3:
            others = [_call(masker, captions, seed=seed) for seed in range(1, 9)]
            assert not all(torch.equal(scores, other) for other in others), (
                "Other generator states give the same scores; draw from `inputs.generator`, or pass random=False."
            )
        _check_cut(captions, scores)
    _check_independence(masker)


def _check_scores(masker: TextMasker, captions: TextMaskInputs, scores: Any) -> None:
    ids = captions.ids
    assert isinstance(scores, Tensor), f"Return a tensor of scores, not {type(scores).__name__}."
    assert scores.shape == ids.shape, f"There must be a score per token, {tuple(ids.shape)}: {tuple(scores.shape)}."
    assert torch.isfinite(scores).all(), "Some scores are NaN or infinite; divide by max(x, tiny) instead of x."
    before, state = ids.clone(), torch.get_rng_state()
    again = _call(masker, captions)
    assert torch.equal(scores, again), "Two calls with the same generator state differ: keep no state between calls."
    assert torch.equal(ids, before), "The text masker writes into `inputs.ids`; work on a copy."
    assert torch.equal(torch.get_rng_state(), state), "It draws from torch's global generator; use `inputs.generator`."


def _check_cut(captions: TextMaskInputs, scores: Tensor) -> None:
    """Cut to five tokens by these scores, a caption still ends in its end of text."""
    ids, lengths = captions.ids, captions.lengths
    short, kept = shorten(ids, lengths, scores, 5, torch.Generator().manual_seed(0))
    assert short.shape[1] <= 5
    assert torch.equal(short.gather(1, kept[:, None] - 1), ids.gather(1, lengths[:, None] - 1))


def _check_independence(masker: TextMasker) -> None:
    """The first caption's scores must stay when the others change."""
    captions, others = _captions(3, 12), _captions(3, 12)
    others.ids[1:, 1:5] = 7
    ours, theirs = _call(masker, captions), _call(masker, others)
    torch.testing.assert_close(ours[0], theirs[0], msg="A caption's scores change with the others of its batch.")


def _call(masker: TextMasker, captions: TextMaskInputs, seed: int = 0) -> Any:
    return masker(replace(captions, generator=torch.Generator().manual_seed(seed)))


def _captions(batch: int, width: int) -> TextMaskInputs:
    """Start 48, words, end 49, zeros; the last caption is the shortest."""
    ids = torch.randint(1, 48, (batch, width), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([width - number for number in range(batch)])
    ids[:, 0] = 48
    for row, length in zip(ids, lengths.tolist(), strict=True):
        row[length - 1], row[length:] = 49, 0
    return TextMaskInputs(ids, lengths, progress=0.5, generator=torch.Generator())
