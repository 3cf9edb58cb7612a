from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from pgsclip.evaluation.datasets import EvalBatch, open_set
from pgsclip.evaluation.demo import write_shards
from pgsclip.evaluation.layouts import EvalSet, MissingSetError, locate
from pgsclip.results.suites import Job


def grey(image: Image.Image) -> Tensor:
    assert image.mode == "RGB"
    return torch.full((3, 2, 2), float(image.getpixel((0, 0))[0]))  # type: ignore[index]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> EvalSet:
    root = tmp_path_factory.mktemp("sets")
    items = [(Image.new("L", (4, 4), n), "cls", str(n % 3)) for n in range(11)]
    write_shards(root / "wds_greys", "test", items, 3)
    (root / "wds_greys/classnames.txt").write_text(" a \nb\nc")
    (root / "wds_greys/zeroshot_classification_templates.txt").write_text("{c}")
    return locate(Job("zeroshot", "greys"), root)


def read(found: EvalSet, **options: int) -> list[tuple[float, int, tuple[int, int]]]:
    batches: list[EvalBatch] = list(open_set(found, "test", grey, batch_size=2, **options).batches)  # type: ignore[arg-type]
    assert all(len(batch.images) <= 2 for batch in batches)
    return [
        (float(image[0, 0, 0]), target, place)
        for batch in batches
        for image, target, place in zip(batch.images, batch.targets, batch.places, strict=True)
    ]


def test_every_sample_has_its_place(found: EvalSet) -> None:
    everything = read(found)
    # write_shards deals out in turn: sample n lies in shard n % 3
    assert sorted(everything) == [(float(n), n % 3, (n % 3, n // 3)) for n in range(11)]
    assert [place for _, _, place in everything] == sorted(place for _, _, place in everything)


@pytest.mark.parametrize("workers", [0, 2, 9])
def test_ranks_and_workers_share_without_loss_or_overlap(found: EvalSet, workers: int) -> None:
    parts = [read(found, rank=rank, world=2, workers=workers) for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(read(found))
    assert abs(len(parts[0]) - len(parts[1])) <= 1


def test_classes_and_templates_come_along(found: EvalSet) -> None:
    opened = open_set(found, "test", grey, batch_size=2)
    assert (opened.classes, opened.templates) == (["a", "b", "c"], ["{c}"])


def test_only_what_is_wanted_is_decoded(found: EvalSet) -> None:
    seen: list[int] = []

    def look(image: Image.Image) -> Tensor:
        seen.append(1)
        return grey(image)

    opened = open_set(found, "test", look, batch_size=9, only={(1, 2), (0, 0)})
    assert sorted(place for batch in opened.batches for place in batch.places) == [(0, 0), (1, 2)]
    assert len(seen) == 2


def test_a_sample_without_its_label_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "wds_odd"
    write_shards(folder, "test", [(Image.new("L", (4, 4)), "xyz", "0")], 1)
    (folder / "classnames.txt").write_text("a")
    (folder / "zeroshot_classification_templates.txt").write_text("{c}")
    odd = locate(Job("zeroshot", "odd"), tmp_path)
    with pytest.raises(MissingSetError, match=r"The test split of the set odd in .* cannot be read to its end: "):
        list(open_set(odd, "test", grey, batch_size=2).batches)
