from __future__ import annotations

import pytest
import torch

from pgsclip.config.resolve import resolve
from pgsclip.distributed import World
from pgsclip.errors import ConfigError, DataError
from pgsclip.training.assemble import _text_masker, build_task, open_device, pairs_per_batch


@pytest.mark.parametrize(("world", "parts", "expected"), [(1, 1, 24), (2, 1, 12), (2, 3, 4), (1, 8, 3)])
def test_the_batch_is_shared_by_processes_and_parts(world: int, parts: int, expected: int) -> None:
    config = resolve("smoke", {}, ["data.batch_size=24", f"optim.accumulation_steps={parts}"])
    assert pairs_per_batch(config, World(0, world, 0)) == expected


def test_a_batch_that_does_not_divide() -> None:
    config = resolve("smoke", {}, ["data.batch_size=9"])
    with pytest.raises(ConfigError, match=r"data.batch_size 9 .* does not divide over 2; give a multiple of 2"):
        pairs_per_batch(config, World(0, 2, 0))
    config = resolve("smoke", {}, ["data.batch_size=10", "optim.accumulation_steps=4"])
    with pytest.raises(ConfigError, match=r"not divide over 2 x 4 \(optim.accumulation_steps\); give a multiple of 8"):
        pairs_per_batch(config, World(0, 2, 0))


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert open_device("cpu", World()) == torch.device("cpu")
    for kind in ("cuda", "mps"):
        with pytest.raises(ConfigError, match=f"There is no {kind} device on this machine; give auto or cpu"):
            open_device(kind, World())
    with pytest.raises(ConfigError, match="no kind of device 'gpu'; give auto, cpu, cuda or mps"):
        open_device("gpu", World())
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"Process 2 of this machine has no GPU of its own, as there are 2"):
        open_device("auto", World(2, 3, 2))


def test_captions_of_another_kind_cannot_be_masked() -> None:
    config = resolve("smoke", {}, ["text.masker=truncate", "text.max_tokens=5"])
    built, task = build_task(config, World(), count_words=False)
    assert task.text_tower.can_cut
    built.text_tower.can_cut = False
    with pytest.raises(ConfigError, match=r"those of pgsclip-smoke do not; leave text.masker and text.max_tokens out"):
        _text_masker(config, built, World())
    assert _text_masker(resolve("smoke", {}, []), built, World()) is None


def test_a_task_that_never_trains_reads_no_captions() -> None:
    config = resolve("smoke", {}, ["data.spec=/no/such.tar", "text.masker=frequency", "text.max_tokens=5"])
    build_task(config, World(), count_words=False)
    with pytest.raises(DataError, match=r"No file matches '/no/such.tar'"):
        build_task(config, World())
