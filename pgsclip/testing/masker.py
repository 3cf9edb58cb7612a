"""The masker contract as one call, for our tests and for authors of plugins.

Every failed check is an AssertionError whose message says what to change.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pgsclip.grid import Grid
from pgsclip.masking.call_signature import IMAGE_CALL, takes_one_value
from pgsclip.masking.contract import Masker, MaskerParams, MaskerWithModel, MaskInputs, MaskScores
from pgsclip.testing.stub_tower import StubTower

_SHAPES = ((3, Grid(4, 6, 8)), (2, Grid(2, 2, 14)), (1, Grid(1, 1, 16)))
"""B and grid: a non-square grid, an odd patch side, and B = L = 1."""
_WIDTH = 24


def check_masker(masker: Masker, *, random: bool = True) -> None:
    """Hold a masker against the whole contract.

    Args:
        masker: an instance, built as `cls(cls.Params())`.
        random: whether two generator states must give different scores; False for a masker without chance.

    Raises:
        AssertionError: with what is wrong and what to do about it.
    """
    _check_declarations(masker)
    for shape in _SHAPES:
        inputs = _batch(*shape, seed=4)
        _start(masker, inputs.grid.side)
        _check_scores(masker, inputs)
        _check_determinism(masker, inputs, random=random and inputs.grid.patches > 1)
        _check_side_effects(masker, inputs)
        _check_precision(masker, inputs)
    _start(masker, 8)
    _check_independence(masker)
    _check_flat_image(masker)
    if isinstance(masker, MaskerWithModel):
        _check_state(masker)


def _check_declarations(masker: Masker) -> None:
    params = getattr(type(masker), "Params", None)
    assert isinstance(params, type), "Declare `Params`, a class derived from MaskerParams, on the masker's class."
    assert issubclass(params, MaskerParams), f"Params must derive from MaskerParams, not {params.__mro__[1].__name__}."
    assert isinstance(getattr(type(masker), "chooses_ratio", None), bool), (
        "Declare `chooses_ratio` on the masker's class: True if the scores carry a ratio per image, else False."
    )
    assert takes_one_value(type(masker)), f"{IMAGE_CALL}."
    parts = ("start", "observe", "state_dict", "load_state_dict")
    missing = [part for part in parts if not callable(getattr(masker, part, None))]
    assert not (callable(getattr(masker, "start", None)) and missing), (
        f"A masker with `start` looks with a model of its own and also needs {', '.join(missing)}."
    )
    undocumented = [name for name, field in params.model_fields.items() if not field.description]
    assert not undocumented, f"Write a docstring under these parameters, it is their help: {undocumented}."
    assert (type(masker).__doc__ or "").strip(), "Write a docstring on the masker's class, `pgsclip maskers` shows it."


def _check_scores(masker: Masker, inputs: MaskInputs) -> None:
    scores = _call(masker, inputs)
    assert isinstance(scores, MaskScores), f"Return MaskScores, not {type(scores).__name__}."
    expected = tuple(inputs.patches.shape[:2])
    assert tuple(scores.keep.shape) == expected, (
        f"`keep` must have one score per patch, {expected}; it has the shape {tuple(scores.keep.shape)}."
    )
    assert torch.isfinite(scores.keep).all(), (
        "`keep` holds NaN or infinite scores; divide by max(x, tiny) instead of x."
    )
    assert not scores.keep.requires_grad, "`keep` carries a gradient; score under torch.no_grad() or detach."
    if scores.ratio is None:
        assert not masker.chooses_ratio, "chooses_ratio is True but the scores carry no `ratio`."
        return
    assert tuple(scores.ratio.shape) == expected[:1], (
        f"`ratio` must have one share per image, {expected[:1]}; it has the shape {tuple(scores.ratio.shape)}."
    )
    assert bool(((scores.ratio >= 0) & (scores.ratio <= 1)).all()), "`ratio` must lie in [0, 1]: a share to remove."


def _check_determinism(masker: Masker, inputs: MaskInputs, *, random: bool) -> None:
    first, again = (_call(masker, inputs, seed=1).keep for _ in range(2))
    assert torch.equal(first, again), (
        "Two calls with the same generator state differ: draw all chance from `inputs.generator`, and keep no state "
        "between calls."
    )
    if random:  # of few patches two draws may be the same, eight are not
        others = [_call(masker, inputs, seed=seed).keep for seed in range(2, 10)]
        assert not all(torch.equal(first, other) for other in others), (
            "Other generator states give the same scores; draw from `inputs.generator`, or pass random=False if that "
            "is meant."
        )


def _check_side_effects(masker: Masker, inputs: MaskInputs) -> None:
    before = inputs.images.clone(), inputs.patches.clone(), torch.get_rng_state()
    _call(masker, inputs)
    assert torch.equal(inputs.images, before[0]), "The masker writes into `inputs.images`; work on a copy."
    assert torch.equal(inputs.patches, before[1]), "The masker writes into `inputs.patches`; work on a copy."
    assert torch.equal(torch.get_rng_state(), before[2]), (
        "The masker draws from torch's global generator; pass generator=inputs.generator to every random call."
    )


def _check_precision(masker: Masker, inputs: MaskInputs) -> None:
    half = _call(masker, replace(inputs, images=inputs.images.bfloat16(), patches=inputs.patches.bfloat16()))
    assert half.keep.dtype == torch.float32, (
        f"With bfloat16 input the scores are {half.keep.dtype}; compute in float32, or neighbours tie by rounding."
    )
    assert torch.isfinite(half.keep).all(), "With bfloat16 input some scores are not finite; compute in float32."


def _check_independence(masker: Masker) -> None:
    """Scores of the first image must stay when the others change, and when an image moves no more than its draws do."""
    inputs, others = (_batch(3, Grid(4, 4, 8), seed=seed) for seed in (5, 6))
    others.images[0], others.patches[0] = inputs.images[0], inputs.patches[0]
    ours, theirs = _call(masker, inputs), _call(masker, others)
    message = "An image's {} changes with the other images of its batch; never reduce over the batch dimension."
    torch.testing.assert_close(ours.keep[0], theirs.keep[0], rtol=1e-4, atol=1e-5, msg=message.format("scores"))
    if ours.ratio is not None and theirs.ratio is not None:
        torch.testing.assert_close(ours.ratio[0], theirs.ratio[0], msg=message.format("ratio"))


def _check_flat_image(masker: Masker) -> None:
    for level in (0.0, 0.7):
        inputs = _batch(2, Grid(4, 4, 8), seed=0)
        inputs.images.fill_(level)
        inputs.patches.fill_(level)
        scores = _call(masker, inputs)
        assert torch.isfinite(scores.keep).all(), f"A constant image ({level}) gives scores that are not finite."
        assert scores.ratio is None or torch.isfinite(scores.ratio).all(), "A constant image gives no finite ratio."


def _start(masker: Masker, side: int) -> None:
    if isinstance(masker, MaskerWithModel):
        masker.start(StubTower(side))


def _check_state(masker: Any) -> None:
    """What `state_dict` gives makes a masker that was started anew the same."""
    inputs = _batch(2, Grid(4, 4, 8), seed=7)
    vision = StubTower(8, seed=1)
    before = [weight.clone() for weight in vision.tower.parameters()]
    masker.start(StubTower(8))
    masker.observe(vision, progress=0.5)
    unchanged = all(torch.equal(*pair) for pair in zip(before, vision.tower.parameters(), strict=True))
    assert unchanged, "`observe` writes to the weights of the tower; read them only."
    state = masker.state_dict()
    assert isinstance(state, dict), "`state_dict` must return a dict of tensors."
    wrong = [name for name, value in state.items() if not isinstance(value, Tensor)]
    assert not wrong, f"`state_dict` must hold tensors only, as it is saved without pickles; not so: {wrong}."
    saved = {name: value.clone() for name, value in state.items()}
    ours = _call(masker, inputs).keep
    again = copy.deepcopy(masker)
    again.start(StubTower(8, seed=2))
    again.load_state_dict(saved)
    assert torch.equal(_call(again, inputs).keep, ours), (
        "A masker that was started anew and loads the state scores otherwise: `state_dict` must hold all that the "
        "scores depend on, and `load_state_dict` must take all of it back."
    )


def _call(masker: Masker, inputs: MaskInputs, seed: int = 0) -> Any:
    """Whatever the masker returns; `_check_scores` finds out first whether that is MaskScores."""
    return masker(replace(inputs, generator=torch.Generator().manual_seed(seed)))


def _batch(count: int, grid: Grid, *, seed: int) -> MaskInputs:
    chance = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, grid.rows * grid.side, grid.columns * grid.side, generator=chance)
    patches = torch.randn(count, grid.patches, _WIDTH, generator=chance)
    return MaskInputs(images, patches, grid, progress=0.5, generator=torch.Generator())
