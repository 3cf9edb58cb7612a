"""The contract of losses as one call, for our tests and for authors of plugins.

Every failed check is an AssertionError whose message says what to change.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pgsclip.config.params import PluginParams
from pgsclip.losses.auxiliary import Seen, Sizes
from pgsclip.losses.registry import BUILT_WITH, is_built_as_agreed

_PAIRS, _VIEWS, _EMBED = 6, 2, 8
_SIZES = Sizes(width=12, vocabulary=40, views=_VIEWS)


def check_loss(kind: type[Any], params: PluginParams | None = None) -> None:
    """Hold a loss against the whole contract: a main one if it has `needs_bias`, else an auxiliary one.

    Args:
        kind: the class.
        params: of an auxiliary loss; `kind.Params()` when not given.

    Raises:
        AssertionError: with what is wrong and what to do about it.
    """
    assert (kind.__doc__ or "").strip(), "Write a docstring on the loss's class, `pgsclip plugins` shows it."
    if hasattr(kind, "needs_bias"):
        _check_main(kind)
    else:
        _check_auxiliary(kind, params)


def _check_main(kind: type[Any]) -> None:
    assert is_built_as_agreed(kind), f"{BUILT_WITH[0].upper()}{BUILT_WITH[1:]}."
    loss = kind(rank=0, world_size=1, logits_per_chunk=2**24)
    scale, bias = torch.tensor([10.0]), torch.tensor([-5.0]) if kind.needs_bias else None
    images, texts = _unit(1), _unit(2)
    value = _scalar(lambda: loss(images, texts, scale, bias))
    order = torch.randperm(_PAIRS, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        loss(images[order], texts[order], scale, bias), value, rtol=1e-4, atol=1e-5,
        msg="The loss changes with the order of the pairs; pair i belongs to text i, whatever i is.",
    )  # fmt: skip
    assert loss(texts, texts, scale, bias) < value, (
        "Images that equal their texts cost no less than any others; row i of `images` belongs to row i of `texts`."
    )
    leaves = [tensor.clone().requires_grad_() for tensor in (images, texts, scale)]
    gradients = torch.autograd.grad(loss(*leaves, bias), leaves, allow_unused=True)
    for name, gradient in zip(("images", "texts", "scale"), gradients, strict=True):
        assert gradient is not None, f"No gradient reaches `{name}`; compute without detach or no_grad."
        assert torch.isfinite(gradient).all(), f"The gradient of `{name}` is not finite."
    small = kind(rank=0, world_size=1, logits_per_chunk=_PAIRS)(images, texts, scale, bias)
    torch.testing.assert_close(
        small,
        value,
        rtol=1e-4,
        atol=1e-5,
        msg="A small `logits_per_chunk` gives another loss; it bounds memory only.",
    )


def _check_auxiliary(kind: type[Any], params: PluginParams | None) -> None:
    _check_declarations(kind)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        term = kind(kind.Params() if params is None else params, _SIZES)
    root = [name for name, _ in term.named_parameters(recurse=False)]
    assert not root, (
        f"Put these parameters into a submodule that `features` calls, else ZeRO-3 keeps them apart: {root}."
    )
    seen = _seen(term)
    features = term.features(seen)
    _check_features(features)
    value = _scalar(lambda: term(dict(features)))
    value.backward()  # type: ignore[no-untyped-call]
    idle = [name for name, weight in term.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not idle, f"No gradient reaches these parameters, which several processes wait for in vain: {idle}."
    reached = [tensor for tensor in (seen.images, seen.pooled, seen.texts) if tensor.grad is not None]
    assert reached, "No gradient reaches images, pooled or texts: the term would train nothing but itself."
    _check_parts(term, seen, features)
    _check_state(kind, params, term)


def _check_declarations(kind: type[Any]) -> None:
    assert issubclass(kind, nn.Module), "Derive the auxiliary loss from nn.Module, so that its weights are found."
    model = getattr(kind, "Params", None)
    assert isinstance(model, type), "Declare `Params`, a class derived from PluginParams, on the loss's class."
    assert issubclass(model, PluginParams), f"Params must derive from PluginParams, not {model.__mro__[1].__name__}."
    undocumented = [name for name, field in model.model_fields.items() if not field.description]
    assert not undocumented, f"Write a docstring under these parameters, it is their help: {undocumented}."
    assert isinstance(getattr(kind, "fewest_views", None), int), (
        "Declare `fewest_views` on the class: how many views of an image the term compares, or 1; a main loss declares "
        "`needs_bias` instead."
    )
    assert isinstance(getattr(kind, "wants_masker_features", None), bool), (
        "Declare `wants_masker_features` on the class: True if it needs what a model of the masker's own makes of "
        "images."
    )
    assert callable(getattr(kind, "features", None)), "Write the method `features(seen)`, what is kept of each image."


def _check_features(features: Any) -> None:
    assert isinstance(features, dict), f"`features` must return a dict of tensors, not {type(features).__name__}."
    for name, value in features.items():
        assert isinstance(value, Tensor), f"`features` must return tensors; {name!r} is {type(value).__name__}."
        assert value.ndim > 0, f"{name!r} of `features` has no dimension; its first must be the {_PAIRS} images."
        assert len(value) == _PAIRS, (
            f"The first dimension of {name!r} in `features` must be the {_PAIRS} images; its shape is "
            f"{tuple(value.shape)}."
        )


def _check_parts(term: Any, seen: Seen, features: dict[str, Tensor]) -> None:
    """A batch in parts has the features of the whole, except through batch norms."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in term.modules()):
        return
    half = _PAIRS // 2
    of_masker = None if seen.masker is None else seen.masker[:half]
    parts = (seen.images[:half], seen.pooled[:half], seen.texts[:half], seen.tokens[:half], of_masker)
    first = term.features(Seen(*parts))
    for name, value in first.items():
        torch.testing.assert_close(
            value, features[name][:half], rtol=1e-4, atol=1e-5,
            msg=f"{name!r} of `features` changes with the other images; reduce over the batch in the call only.",
        )  # fmt: skip


def _check_state(kind: type[Any], params: PluginParams | None, term: Any) -> None:
    weights = [weight.clone() for weight in term.parameters()]
    if hasattr(term, "observe"):
        with torch.no_grad():
            term.observe(progress=0.5)
        unchanged = all(torch.equal(*pair) for pair in zip(weights, term.parameters(), strict=True))
        assert unchanged, "`observe` writes to trained parameters; keep what follows them in buffers."
    again = kind(kind.Params() if params is None else params, _SIZES)
    again.load_state_dict({name: tensor.clone() for name, tensor in term.state_dict().items()})
    ours, theirs = (one(one.features(_seen(one))) for one in (term, again))
    assert torch.equal(ours, theirs), (
        "A loss that loads the state of another differs from it: keep what it depends on in parameters and buffers."
    )


def _seen(term: Any) -> Seen:
    generator = torch.Generator().manual_seed(4)
    images = F.normalize(torch.randn(_PAIRS, _VIEWS, _EMBED, generator=generator), dim=-1)
    pooled = torch.randn(_PAIRS, _VIEWS, _SIZES.width, generator=generator)
    tokens = torch.randint(1, _SIZES.vocabulary - 1, (_PAIRS, 7), generator=generator)
    tokens[:, 0], tokens[:, 5], tokens[:, 6] = _SIZES.vocabulary - 2, _SIZES.vocabulary - 1, 0
    of_masker = torch.randn(_PAIRS, _VIEWS, _SIZES.width, generator=generator) if term.wants_masker_features else None
    return Seen(images.requires_grad_(), pooled.requires_grad_(), _unit(2).requires_grad_(), tokens, of_masker)


def _scalar(compute: Any) -> Tensor:
    before = torch.get_rng_state()
    value = compute()
    assert torch.equal(torch.get_rng_state(), before), "The loss draws from torch's global generator; draw nothing."
    assert isinstance(value, Tensor), f"The loss must be a tensor, not {type(value).__name__}."
    assert value.numel() == 1, f"The loss must be one number; its shape is {tuple(value.shape)}."
    assert torch.isfinite(value), "The loss of ordinary features is not finite."
    return value


def _unit(seed: int) -> Tensor:
    return F.normalize(torch.randn(_PAIRS, _EMBED, generator=torch.Generator().manual_seed(seed)), dim=-1)
