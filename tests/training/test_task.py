from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import open_clip
import pytest
import torch
from torch import Tensor, nn

from pgsclip.config.resolve import resolve
from pgsclip.losses.contrastive import ClipLoss, SigLipLoss
from pgsclip.masking.contract import MaskerParams, MaskInputs, MaskScores
from pgsclip.masking.registry import build_masker
from pgsclip.masking.text.none import KeepAllWords
from pgsclip.masking.text.truncate import Truncate
from pgsclip.models.build import BuiltModel
from pgsclip.models.towers.adapt import adapt
from pgsclip.models.towers.image_tower import Encoded
from pgsclip.models.towers.text_tower import TextTower
from pgsclip.training.features import StepContext
from pgsclip.training.task import Task

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2}


class Asking:
    """Keeps the first patches and asks for a ratio of its own per image."""

    Params: ClassVar[type[MaskerParams]] = MaskerParams
    chooses_ratio: ClassVar[bool] = True

    def __init__(self, *ratios: float) -> None:
        self.ratios = torch.tensor(ratios)
        self.progress: list[float] = []

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        self.progress.append(inputs.progress)
        keep = -torch.arange(inputs.grid.patches, dtype=torch.float32).expand(len(inputs.images), -1)
        return MaskScores(keep, self.ratios)


def make_model(**options: Any) -> open_clip.CLIP:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return open_clip.CLIP(16, VISION, TEXT, nonscalar_logit_scale=True, **options)


def make_task(
    model: nn.Module,
    masker: Any = "none",
    loss: Any = None,
    text_masker: Any = None,
    auxiliary: Any = (),
    **settings: Any,
) -> Task:
    config = resolve(None, {"masker.name": masker if isinstance(masker, str) else "pgs", **settings})
    built = BuiltModel(
        name="tiny",
        model=model,
        image_tower=adapt(model.visual),
        text_tower=TextTower(model),
        tokenizer=lambda texts: torch.zeros(len(texts), 12),
        context_length=12,
        vocab_size=64,
        preprocess={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    )
    masker = build_masker(masker) if isinstance(masker, str) else masker
    return Task(
        built, masker, loss or ClipLoss(rank=0, world_size=1, logits_per_chunk=2**24), config, text_masker, auxiliary
    )


def context(seed: int = 0, progress: float = 0.5) -> StepContext:
    return StepContext(progress, torch.Generator().manual_seed(seed))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([3, 12, 5, 4])
    texts = torch.randint(1, 63, (4, 12), generator=generator)
    for row, length in zip(texts, lengths.tolist(), strict=True):
        row[length - 1] = 63
        row[length:] = 0
    return torch.randn(4, 3, 32, 32, generator=generator), texts, lengths


@pytest.mark.parametrize("bias", [None, -10.0])
def test_without_a_mask_a_step_is_open_clip_s(bias: float | None, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    images, texts, lengths = batch
    ours, theirs = make_model(init_logit_bias=bias), make_model(init_logit_bias=bias)
    kind, oracle = (ClipLoss, open_clip.ClipLoss()) if bias is None else (SigLipLoss, open_clip.loss.SigLipLoss())
    loss, report = make_task(ours, loss=kind(rank=0, world_size=1, logits_per_chunk=2**24))(
        images, texts, lengths, context()
    )
    outputs = theirs(images, texts)
    expected = oracle(*outputs).reshape(())
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss.backward()
    expected.backward()
    found = {name: p.grad for name, p in ours.named_parameters()}
    wanted = {name: p.grad for name, p in theirs.named_parameters()}
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert report.patches_kept == 1.0
    cosines = outputs[0] @ outputs[1].mT
    assert report.acc1.item() == pytest.approx((cosines.argmax(1) == torch.arange(4)).float().mean().item())
    assert report.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-5)
    assert not report.acc1.requires_grad
    assert not report.logit_scale.requires_grad


def test_none_does_not_even_call_its_masker(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    task = make_task(make_model())
    task.masker = None  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    task(*batch, StepContext(0.0, generator))
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize(("ratio", "kept"), [(0.5, 8), (0.3, 11), (0.97, 1)])
def test_random_hides_the_share_that_is_asked_for(
    ratio: float, kept: int, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    model = make_model()
    lengths: list[int] = []
    model.visual.transformer.resblocks[0].register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    _, report = make_task(model, "random", **{"masker.ratio": ratio})(*batch, context())
    assert report.patches_kept == kept / 16
    assert lengths == [kept + 1]


def test_masks_come_from_the_generator_alone(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    task = make_task(make_model(), "random", **{"masker.ratio": 0.5})
    before = torch.get_rng_state()
    first = task(*batch, context(1))[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    assert torch.equal(task(*batch, context(1))[0], first)
    assert not torch.equal(task(*batch, context(2))[0], first)


def test_a_range_gives_each_image_its_own_share_and_features_keep_their_place(
    batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    images, texts, lengths = batch
    masker = Asking(0.9, 0.25, 0.5, 0.3)  # clamped to 0.25 .. 0.75: 4, 12, 8 and 11 of 16
    model = make_model()
    task = make_task(model, masker, **{"masker.ratio": "0.25:0.75", "masker.max_passes": 4})
    loss, report = task(images, texts, lengths, context(progress=0.25))
    assert report.patches_kept == (4 + 12 + 8 + 11) / 64
    assert masker.progress == [0.25]
    tower = task.image_tower
    prefix, patches = tower.embed(images)
    alone = [tower.encode(prefix[[i]], patches[[i], :kept]) for i, kept in enumerate((4, 12, 8, 11))]
    image_features = nn.functional.normalize(torch.cat(alone), dim=-1)
    text_features = model.encode_text(texts, normalize=True)
    expected = open_clip.ClipLoss()(image_features, text_features, model.logit_scale.exp())
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)


def test_captions_run_in_as_many_groups_as_configured(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    model = make_model()
    shapes: list[tuple[int, int]] = []
    model.transformer.resblocks[0].register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape[:2])))
    make_task(model, **{"text.max_passes": 2})(*batch, context())
    assert shapes == [(3, 5), (1, 12)]
    shapes.clear()
    make_task(model)(batch[0], batch[1], None, context())
    assert shapes == [(4, 12)]


def test_ranks_that_gather_weights_in_every_pass_run_equally_many(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    model = make_model()
    passes: list[int] = []
    model.transformer.resblocks[0].register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    alike = torch.full_like(batch[2], 12)
    for stage, expected in ((1, [4]), (3, [1, 1, 2])):
        passes.clear()
        make_task(model, **{"text.max_passes": 3, "engine.zero_stage": stage})(batch[0], batch[1], alike, context())
        assert passes == expected


def test_evaluation_sees_every_patch_and_gives_what_is_asked(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    images, texts, lengths = batch
    model = make_model()
    task = make_task(model, "random", **{"masker.ratio": 0.5}).eval()
    image_features, text_features = task(images, texts, lengths)
    torch.testing.assert_close(image_features, model.encode_image(images, normalize=True), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(text_features, model.encode_text(texts, normalize=True), atol=1e-5, rtol=1e-5)
    assert task(images, None)[1] is None
    assert task(None, texts)[0] is None


def test_features_are_float32_under_autocast(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    task = make_task(make_model())
    with torch.autocast("cpu", torch.bfloat16):
        image_features, text_features = task(batch[0], batch[1])
        loss, report = task(*batch, context())
    for tensor in (image_features, text_features, loss, report.logit_scale):
        assert tensor.dtype == torch.float32
    torch.testing.assert_close(image_features.norm(dim=-1), torch.ones(4))


def test_weights_keep_open_clip_s_names() -> None:
    model = make_model()
    task = make_task(model, "random")
    assert {f"model.{name}" for name in model.state_dict()} == set(task.state_dict())
    assert len(list(task.parameters())) == len(list(model.parameters()))


@pytest.mark.parametrize("bias", [None, -10.0])
def test_the_scalars_that_the_task_reads_are_declared(bias: float | None) -> None:
    model = make_model(init_logit_bias=bias)
    wanted = [model.logit_scale] if bias is None else [model.logit_scale, model.logit_bias]
    declared = make_task(model).external_parameters()
    assert [id(parameter) for parameter in declared] == [id(parameter) for parameter in wanted]


def test_the_cap_of_the_config_holds_while_descent_pushes_against_it(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """With features that all match, the best logit scale is infinite; the parameter must come to rest."""
    images, texts, lengths = batch
    model = make_model()
    task = make_task(model, **{"loss.max_scale": 20.0})
    same = nn.functional.normalize(torch.eye(4, 16), dim=-1)
    optimizer = torch.optim.SGD([model.logit_scale], lr=0.5)
    task.image_tower.forward = lambda *_: Encoded(same, same)  # type: ignore[assignment, method-assign]
    task.text_tower.forward = lambda *_: same  # type: ignore[assignment, method-assign]
    with torch.no_grad():
        model.logit_scale.fill_(math.log(20) + 0.001)
    start = copy.deepcopy(model.logit_scale.detach())
    for _ in range(5):
        optimizer.zero_grad()
        loss, report = task(images, texts, lengths, context())
        loss.backward()
        optimizer.step()
        assert report.logit_scale.item() == pytest.approx(20.0, rel=1e-6)
    assert torch.equal(model.logit_scale.detach(), start)
    task.text_tower.forward = lambda *_: same.flip(0)  # type: ignore[assignment, method-assign]
    for _ in range(2):
        optimizer.zero_grad()
        loss, report = task(images, texts, lengths, context())
        loss.backward()
        optimizer.step()
    assert model.logit_scale.item() < start.item() - 1
    assert report.logit_scale.item() < 20


WORDS: dict[str, Any] = {"text.masker": "truncate", "text.max_tokens": 4}


def test_a_text_masker_shortens_captions_in_training_and_never_in_evaluation(
    batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    images, texts, lengths = batch
    model = make_model()
    whole, cut = make_task(model), make_task(model, text_masker=Truncate(MaskerParams()), **WORDS)
    by_hand = texts[:, :4].clone()
    by_hand[lengths > 4, 3] = 63
    expected, _ = whole(images, by_hand, lengths.clamp(max=4), context())
    loss, _ = cut(images, texts, lengths, context())
    torch.testing.assert_close(loss, expected)
    assert not torch.allclose(loss, whole(images, texts, lengths, context())[0])
    for ours, theirs in zip(cut(images, texts, lengths), whole(images, texts, lengths), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_masked_words_leave_the_patches_as_they_are_and_repeat_with_their_generator(
    batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    model = make_model()
    seen: list[Tensor] = []

    class Spy(Asking):
        def __call__(self, inputs: MaskInputs) -> MaskScores:
            keep = inputs.uniform()
            seen.append(keep)
            return MaskScores(keep)

    words = KeepAllWords(MaskerParams())
    plain = make_task(model, Spy())
    random = make_task(model, Spy(), text_masker=words, **WORDS)
    first, again, other = (random(*batch, context(seed))[0] for seed in (1, 1, 2))
    plain(*batch, context(1))
    assert torch.equal(seen[0], seen[3])
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_views_are_masked_by_themselves_and_their_losses_averaged(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    images, texts, lengths = batch
    others = images.flip(-1)
    model = make_model()
    plain = make_task(model)
    loss, report = plain(torch.stack([images, others], dim=1), texts, lengths, context())
    alone = [plain(one, texts, lengths, context()) for one in (images, others)]
    torch.testing.assert_close(loss, (alone[0][0] + alone[1][0]) / 2)
    torch.testing.assert_close(report.acc1, alone[0][1].acc1)
    masks: list[Tensor] = []

    class Spy(Asking):
        def __call__(self, inputs: MaskInputs) -> MaskScores:
            masks.append(inputs.uniform())
            return MaskScores(masks[-1])

    masked = make_task(model, Spy(), **{"masker.ratio": 0.5})
    assert masked(torch.stack([images, images], dim=1), texts, lengths, context())[1].patches_kept == 0.5
    assert masks[0].shape == (8, 16)
    assert not torch.equal(masks[0][:4], masks[0][4:])


class Notes(nn.Module):
    """An auxiliary loss that keeps what it sees; its term is the mean of a head's output."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(32, 1)
        self.seen: list[Any] = []

    def features(self, seen: Any) -> dict[str, Tensor]:
        self.seen.append(seen)
        return {"out": self.head(seen.pooled), "ids": seen.tokens}

    def forward(self, features: Any) -> Tensor:
        assert features["ids"].dtype == torch.int64
        return features["out"].mean()


class Seeing(Asking):
    """Gives features of its own."""

    def __call__(self, inputs: MaskInputs) -> MaskScores:
        return MaskScores(inputs.uniform(), None, inputs.images.mean(dim=(2, 3)))


def test_auxiliary_losses_see_views_captions_and_masker_and_are_added(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    images, texts, lengths = batch
    both = torch.stack([images, images.flip(-1)], dim=1)
    model, term = make_model(), Notes()
    task = make_task(model, Seeing(), auxiliary=[("notes", term)], **{"masker.ratio": 0.5})
    loss, report = task(both, texts, lengths, context())
    [seen] = term.seen
    assert (seen.images.shape, seen.pooled.shape, seen.texts.shape) == ((4, 2, 16), (4, 2, 32), (4, 16))
    torch.testing.assert_close(seen.masker, both.mean(dim=(3, 4)))
    assert torch.equal(seen.tokens, texts)
    torch.testing.assert_close(
        nn.functional.normalize(seen.pooled @ model.visual.proj, dim=-1), seen.images, atol=1e-5, rtol=1e-5
    )
    assert report.terms.keys() == {"contrastive", "notes"}
    torch.testing.assert_close(loss.detach(), report.terms["contrastive"] + report.terms["notes"])
    plain = make_task(model, Seeing(), **{"masker.ratio": 0.5})
    torch.testing.assert_close(report.terms["contrastive"], plain(both, texts, lengths, context())[0].detach())
    assert [name for name, _ in task.named_trained_parameters()][-2:] == [
        f"pgsclip.losses/notes/head.{w}" for w in ("weight", "bias")
    ]
    assert plain(both, texts, lengths, context())[1].terms == {}
