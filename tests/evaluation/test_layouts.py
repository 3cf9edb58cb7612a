from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip.evaluation.demo import write_demo_sets
from pgsclip.evaluation.layouts import MissingSetError, family_of, hub_name, locate, places, source_of
from pgsclip.results.suites import Job


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_sets(folder)
    return folder


def names(dataset: str) -> list[str]:
    return [str(path) for path in places(dataset, Path("d"))]


def test_a_set_is_looked_for_under_every_spelling() -> None:
    assert names("pets")[:4] == ["d/wds_pets", "d/wds_vtab-pets", "d/pets", "d/vtab-pets"]
    assert names("wds/vtab/pets") == names("pets")
    assert names("wds/a/b") == ["d/wds_a-b", "d/a-b", "d/a/b"]


def test_hub_names_have_vtab_where_the_hub_has_it() -> None:
    assert hub_name("cifar10") == "clip-benchmark/wds_vtab-cifar10"
    assert hub_name("food101") == "clip-benchmark/wds_food101"
    assert source_of("sugar_crepe/add_att") == "github.com/RAIVNLab/sugar-crepe and COCO val2017"


def test_what_is_there_is_described(root: Path) -> None:
    found = locate(Job("zeroshot", "demo-shapes"), root)
    assert (found.task, found.splits, found.shards, found.layout) == ("classification", ("train", "test"), 2, "wds")
    assert found.bytes > 50_000
    assert locate(Job("retrieval", "demo-captions"), root).task == "retrieval"
    assert locate(Job("compositionality", "demo-colours"), root).task == "selection"
    assert [family_of(name, root) for name in ("demo-shapes", "demo-captions", "sugar_crepe/swap_att", "gone")] == [
        "zeroshot", "retrieval", "compositionality", "zeroshot"
    ]  # fmt: skip


def test_a_fingerprint_changes_with_what_the_numbers_depend_on(root: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "wds_demo-shapes"
    shutil.copytree(root / "wds_demo-shapes", folder)
    job = Job("zeroshot", "demo-shapes")
    first = locate(job, root).fingerprint("test")
    assert locate(job, tmp_path).fingerprint("test") == first
    for name in ("classnames.txt", "zeroshot_classification_templates.txt", "test/1.tar"):
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(before + b"x")
        assert locate(job, tmp_path).fingerprint("test") != first, name
        path.write_bytes(before)
    (folder / "train/0.tar").write_bytes(b"another")
    assert locate(job, tmp_path).fingerprint("test") == first


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            Job("zeroshot", "food101"),
            r"The set food101 is not in .*/wds_food101 or .*/food101\. Expected there, for SPL",
        ),
        (Job("linear-probe", "cifar10"), r"for SPLIT train and test: classnames\.txt, .*wds_vtab-cifar10"),
        (Job("linear-probe", "demo-noisy"), r"has no train split: train/nshards\.txt is missing\."),
        (Job("retrieval", "flickr8k"), r"dataset_type\.txt with the word retrieval"),
        (Job("retrieval", "demo-shapes"), r"it has no dataset_type\.txt and so holds classes, and retrieval needs"),
        (
            Job("compositionality", "sugar_crepe/add_obj"),
            r"Expected there: add_obj\.json and the COCO images in val2017/",
        ),
    ],
)
def test_what_is_not_there_is_a_sentence(root: Path, job: Job, words: str) -> None:
    with pytest.raises(MissingSetError, match=words):
        locate(job, root)


def test_a_linear_probe_wants_one_class_an_image(root: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(root / "wds_demo-shapes", tmp_path / "wds_many")
    (tmp_path / "wds_many/dataset_type.txt").write_text("multilabel\n")
    assert locate(Job("zeroshot", "many"), tmp_path).task == "multilabel"
    with pytest.raises(MissingSetError, match=r"says multilabel, and linear-probe needs classification\. Evaluate it"):
        locate(Job("linear-probe", "many"), tmp_path)


def test_images_that_are_gone_are_told_from_annotations(tmp_path: Path) -> None:
    (tmp_path / "flickr8k").mkdir()
    (tmp_path / "sugar_crepe").mkdir()
    (tmp_path / "sugar_crepe/add_att.json").write_text("{}")
    with pytest.raises(MissingSetError, match=r"but no images: the folder .*val2017 is missing"):
        locate(Job("compositionality", "sugar_crepe/add_att"), tmp_path)
    (tmp_path / "sugar_crepe/add_att.json").write_text("{")
    with pytest.raises(MissingSetError, match=r"is not readable JSON"):
        locate(Job("compositionality", "sugar_crepe/add_att"), tmp_path)
    (tmp_path / "flickr8k/flickr8k_test_karpathy.txt").write_bytes(b"")
    with pytest.raises(MissingSetError, match=r"has no bytes, as a download that failed leaves it"):
        locate(Job("retrieval", "flickr8k"), tmp_path)
