from __future__ import annotations

import torch
from clip_benchmark.metrics import linear_probe

from pgsclip.config.schema import ProbeConfig
from pgsclip.evaluation.linear_probe import train_probe

CPU = torch.device("cpu")


def clouds(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Seven clouds that a linear layer can tell apart."""
    chance = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 7
    centres = 2 * torch.eye(7, 8)
    return centres[labels] + 0.3 * torch.randn(count, 8, generator=chance), labels


def test_it_learns_what_can_be_learned_and_is_the_same_each_time() -> None:
    config = ProbeConfig(batch_size=32)
    first = train_probe(clouds(140, 0), clouds(70, 1), config, CPU)
    assert first.metrics["lp_acc1"] > 0.95
    assert first.outcomes["lp_acc1"].float().mean().item() == first.metrics["lp_acc1"]
    assert train_probe(clouds(140, 0), clouds(70, 1), config, CPU).metrics == first.metrics


def test_nothing_that_it_borrows_stays_changed() -> None:
    before = torch.Tensor.cuda, torch.nn.Module.cuda, torch.nn.DataParallel
    state = torch.random.get_rng_state()
    train_probe(clouds(20, 0), clouds(14, 1), ProbeConfig(epochs=1), CPU)
    assert (torch.Tensor.cuda, torch.nn.Module.cuda, torch.nn.DataParallel) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_batches_are_those_of_clip_benchmark_s_own_loader() -> None:
    """Rows drawn at once come in the order in which its dataset would give them one by one."""
    features, labels = clouds(50, 3)
    seen: list[torch.Tensor] = []
    original = linear_probe.train

    def spy(loader: object, *rest: object) -> object:
        torch.manual_seed(5)
        seen.extend(x for x, _ in loader)  # type: ignore[attr-defined]
        return original(loader, *rest)

    linear_probe.train = spy
    try:
        train_probe((features, labels), clouds(14, 1), ProbeConfig(batch_size=8, epochs=1), CPU)
    finally:
        linear_probe.train = original
    torch.manual_seed(0)
    order = torch.randperm(50)
    torch.manual_seed(5)
    theirs = torch.utils.data.DataLoader(
        linear_probe.FeatureDataset(features[order], labels[order]), batch_size=8, shuffle=True
    )
    assert all(torch.equal(a, x) for a, (x, _) in zip(seen, theirs, strict=True))
