"""The linear probe: clip-benchmark's own training of a linear layer, on a CPU as well as on a GPU.

Its `evaluate` asserts CUDA and reads features back by the name of a model, also when its weights have changed. Its
`train` and `infer` are what the numbers come from, and are what runs here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import torch
from clip_benchmark.metrics import linear_probe
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader

from pgsclip.config.schema import ProbeConfig
from pgsclip.evaluation.metrics import Scores, accuracies, silence

silence(linear_probe)


def train_probe(
    train: tuple[Float[Tensor, "N D"], Int[Tensor, " N"]],
    test: tuple[Float[Tensor, "M D"], Int[Tensor, " M"]],
    config: ProbeConfig,
    device: torch.device,
) -> Scores:
    """Train a linear layer on the features of one split and judge on those of another, without a validation split."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        order = torch.randperm(len(train[0]))
        loader = DataLoader(
            _Rows(train[0][order], train[1][order]),
            batch_size=config.batch_size,
            shuffle=True,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
        )
        classes = int(train[1].max()) + 1
        with _on(device), redirect_stdout(io.StringIO()):
            layer = linear_probe.train(
                loader, train[0].shape[1], classes, 0, config.lr, config.epochs, False, device.type, config.seed
            )
            logits, targets = linear_probe.infer(layer, _chunks(*test), False, str(device))
    return accuracies(logits.float(), targets, int(targets.max()) >= 5 and classes >= 5, "lp_", classes)


class _Rows(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Draws a batch of rows at once; the order of the rows is the same as one by one."""

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        self._features, self._labels = features, labels

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._features[index], self._labels[index]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        return self._features[indices], self._labels[indices]


def _chunks(features: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(features, 4096), torch.split(labels, 4096), strict=True)


def _as_it_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


@contextmanager
def _on(device: torch.device) -> Iterator[None]:
    """`.cuda()` moves to `device`, and DataParallel leaves the layer where it is: clip-benchmark calls both."""
    tensor, module, parallel = torch.Tensor.cuda, torch.nn.Module.cuda, torch.nn.DataParallel

    def move(self: Tensor | torch.nn.Module, *_: object) -> Tensor | torch.nn.Module:
        return self.to(device)

    def same(module: torch.nn.Module, **_: object) -> torch.nn.Module:
        return module

    torch.Tensor.cuda = torch.nn.Module.cuda = move  # type: ignore[assignment]
    torch.nn.DataParallel = same  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        torch.Tensor.cuda, torch.nn.Module.cuda = tensor, module  # type: ignore[method-assign]
        torch.nn.DataParallel = parallel  # type: ignore[misc]
