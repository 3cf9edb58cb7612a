from __future__ import annotations

import open_clip
import pytest
import torch
from open_clip_train.scheduler import cosine_lr
from torch import nn

from pgsclip.config.schema import OptimConfig
from pgsclip.training.optimizer import build_optimizer, learning_rate, split_parameters


@pytest.fixture(scope="module")
def clip() -> nn.Module:
    vision = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    return open_clip.CLIP(16, vision, text, nonscalar_logit_scale=True)


def test_groups_are_those_of_open_clip(clip: nn.Module) -> None:
    decayed, kept = split_parameters(clip)
    names = {id(p): name for name, p in clip.named_parameters()}
    plain = {names[id(p)] for p in kept}
    assert {"logit_scale", "visual.class_embedding", "ln_final.weight", "visual.ln_pre.bias"} <= plain
    matrices = {names[id(p)] for p in decayed}
    assert {"visual.conv1.weight", "token_embedding.weight", "positional_embedding", "text_projection"} <= matrices
    assert len(plain) + len(matrices) == len(names)


def test_only_matrices_decay(clip: nn.Module) -> None:
    optimizer = build_optimizer(clip, OptimConfig(lr=0.1, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in clip.named_parameters()}
    for parameter in clip.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = dict(clip.named_parameters())
    assert torch.equal(after["logit_scale"], before["logit_scale"])
    torch.testing.assert_close(after["visual.conv1.weight"], before["visual.conv1.weight"] * 0.95)


@pytest.mark.parametrize(("warmup", "total"), [(0, 10), (4, 10), (3, 100)])
def test_learning_rate_equals_open_clip_s(warmup: int, total: int) -> None:
    config = OptimConfig(lr=0.3, warmup_steps=warmup)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = cosine_lr(optimizer, 0.3, warmup, total)
    for step in range(total):
        theirs(step)
        assert learning_rate(step, total, config) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
