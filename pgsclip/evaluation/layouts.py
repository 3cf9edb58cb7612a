"""Evaluation sets on disk: their place, their layout of clip-benchmark's, and the sentence when one is missing.

Files are looked at before clip-benchmark is asked, because it would try to download what is missing and leave files of
no bytes behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from pgsclip.errors import DataError
from pgsclip.results.suites import FAMILIES, Job, list_spellings, plan_jobs, to_canonical

Layout = Literal["wds", "sugar_crepe", "flickr", "mscoco"]

_WDS_LAYOUT = (
    "classnames.txt, zeroshot_classification_templates.txt, {split}/nshards.txt and {split}/0.tar to N-1.tar "
    "(pairs of an image and .cls)"
)
_RETRIEVAL_LAYOUT = (
    "dataset_type.txt with the word retrieval, {split}/nshards.txt and {split}/0.tar to N-1.tar (pairs of an image "
    "and .txt, one caption a line)"
)

HOW_TO_GET = (
    "A set is looked for in wds_NAME (slashes as dashes), then in NAME. `pgsclip eval FAMILY CHECKPOINT --download` "
    "fetches what is on the hub. The layout, for SPLIT test (and train for the linear probe): "
    f"{_WDS_LAYOUT.format(split='SPLIT')}; for retrieval: {_RETRIEVAL_LAYOUT.format(split='SPLIT')}; SugarCrepe: "
    "sugar_crepe/PART.json and sugar_crepe/val2017/."
)


@dataclass(frozen=True)
class EvalSet:
    """An evaluation set that is there."""

    dataset: str
    folder: Path
    layout: Layout
    task: str
    """classification, multilabel, retrieval or selection (one image, a right and a wrong caption)."""
    splits: tuple[str, ...]
    shards: int
    """Of the test split; 0 when the layout has none."""
    bytes: int

    def fingerprint(self, split: str) -> str:
        """Hash a split; another one when its files, the classes or the templates change. Reads no images."""
        digest = hashlib.sha256()
        texts = sorted(self.folder.glob("*.txt")) if self.layout == "wds" else []
        folder = self.folder / split if self.layout == "wds" else self.folder
        for path in texts:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        if self.layout == "sugar_crepe":
            folder = self.folder / f"{_part(self.dataset)}.json"
        files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
        for path in files:
            digest.update(f"{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode())
        return digest.hexdigest()[:16]


class MissingSetError(DataError):
    """A set is not there, or not whole."""


class AbsentSetError(MissingSetError):
    """Nothing of a set is there; there may be many of those, and all that differs between them is the name."""


def places(dataset: str, root: Path) -> list[Path]:
    """List the folders that are looked in, in turn: `wds_NAME` with slashes as dashes, then `NAME`."""
    names = list_spellings(to_canonical(dataset))
    dashed = [name.replace("/", "-") for name in names]
    return list(
        dict.fromkeys([*(root / f"wds_{name}" for name in dashed), *(root / name for name in (*dashed, *names))])
    )


def locate(job: Job, root: Path) -> EvalSet:
    """Find the set of a job.

    Raises:
        AbsentSetError: a sentence with the folder that was looked in, the layout and how to get it.
        MissingSetError: the set is not whole, or is none for this family.
    """
    splits = ("train", "test") if job.family == "linear-probe" else ("test",)
    for folder in places(job.dataset, root):
        if any((folder / split / "nshards.txt").exists() for split in ("test", "train")):
            return _checked(_wds(job.dataset, folder), job, splits)
    found = _classic(job, root)
    if found is None:
        raise AbsentSetError(missing_sentence(job, root))
    return found


def family_of(dataset: str, root: Path) -> str:
    """Give the family that a set's own files put it in; zeroshot when nothing is known."""
    if dataset.startswith("sugar_crepe"):
        return "compositionality"
    for family in FAMILIES:
        try:
            found = locate(Job(family, dataset), root)
        except MissingSetError:
            continue
        return "retrieval" if found.task == "retrieval" else "zeroshot"
    return "zeroshot"


def find_jobs(families: Sequence[str], suite: str, datasets: Sequence[str], root: Path) -> list[Job]:
    """Plan the jobs of some families; a named set goes to the family that its files in `root` say it belongs to.

    Raises:
        ConfigError: no such family or suite.
    """
    named = [to_canonical(name) for name in datasets if name.strip()]
    return plan_jobs(families, suite, named, {name: family_of(name, root) for name in named})


def missing_sentence(job: Job, root: Path) -> str:
    """Say what was looked for where, and how to get it."""
    looked = [folder for folder in places(job.dataset, root) if "/" not in str(folder.relative_to(root))]
    where = " or ".join(str(folder) for folder in looked[:2])
    split = "train and test" if job.family == "linear-probe" else "test"
    if job.family == "compositionality":
        return (
            f"The set {job.dataset} is not in {root / 'sugar_crepe'}. Expected there: {_part(job.dataset)}.json and "
            f"the COCO images in val2017/. Get the json from github.com/RAIVNLab/sugar-crepe (folder data) and "
            f"http://images.cocodataset.org/zips/val2017.zip."
        )
    layout = (_RETRIEVAL_LAYOUT if job.family == "retrieval" else _WDS_LAYOUT).format(split="SPLIT")
    return (
        f"The set {job.dataset} is not in {where}. Expected there, for SPLIT {split}: {layout}. "
        f"Get it from huggingface.co/datasets/{hub_name(job.dataset)}, or let --download do so."
    )


def source_of(dataset: str) -> str:
    """Name where a set can be had, in a few words."""
    if dataset.startswith("sugar_crepe/"):
        return "github.com/RAIVNLab/sugar-crepe and COCO val2017"
    return f"huggingface.co/datasets/{hub_name(dataset)}"


def hub_name(dataset: str) -> str:
    """Name clip-benchmark's own WebDataset copy on the hub."""
    return f"clip-benchmark/wds_{list_spellings(to_canonical(dataset))[-1].replace('/', '-')}"


def _wds(dataset: str, folder: Path) -> EvalSet:
    type_file = folder / "dataset_type.txt"
    kind = _text(type_file).strip().lower() if type_file.exists() else "classification"
    splits = tuple(split for split in ("train", "test") if (folder / split / "nshards.txt").exists())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shards = _shard_count(folder, "test") if "test" in splits else 0
    return EvalSet(dataset, folder, "wds", kind, splits, shards, size)


def _checked(found: EvalSet, job: Job, splits: tuple[str, ...]) -> EvalSet:
    """Check that a WebDataset folder has everything that the family needs."""
    wanted = {
        "retrieval": ("retrieval",), "compositionality": ("retrieval",), "linear-probe": ("classification",)
    }.get(job.family, ("classification", "multilabel"))  # fmt: skip
    if found.task not in wanted:
        says = (
            f"its dataset_type.txt says {found.task}"
            if (found.folder / "dataset_type.txt").exists()
            else ("it has no dataset_type.txt and so holds classes")
        )
        raise MissingSetError(
            f"The set {found.dataset} in {found.folder} cannot be used for {job.family}: {says}, and {job.family} "
            f"needs {' or '.join(wanted)}. Evaluate it with `pgsclip eval "
            f"{'retrieval' if found.task == 'retrieval' else 'zeroshot'}`."
        )
    for split in splits:
        if split not in found.splits:
            raise MissingSetError(
                f"The set {found.dataset} in {found.folder} has no {split} split: {split}/nshards.txt is missing."
            )
    names = ["classnames.txt", "zeroshot_classification_templates.txt"] if "retrieval" not in wanted else []
    shards = (f"{split}/{n}.tar" for split in splits for n in range(_shard_count(found.folder, split)))
    for name in chain(names, shards):  # one by one, as nshards.txt may hold any number
        path = found.folder / name
        if not path.is_file() or path.stat().st_size == 0:
            state = "is empty" if path.is_file() else "is missing"
            raise MissingSetError(
                f"The set {found.dataset} in {found.folder} is not whole: {name} {state}. "
                f"Get it again from huggingface.co/datasets/{hub_name(found.dataset)}."
            )
    if "retrieval" not in wanted:
        _check_prompts(found)
    type_ = "selection" if job.family == "compositionality" else found.task
    return EvalSet(found.dataset, found.folder, found.layout, type_, found.splits, found.shards, found.bytes)


def _check_prompts(found: EvalSet) -> None:
    """Check that names and templates make a prompt; clip-benchmark fills a template with `format(c=name)`."""
    for path in (found.folder / "classnames.txt", found.folder / "zeroshot_classification_templates.txt"):
        lines = _text(path).splitlines()
        if not any(map(str.strip, lines)):
            raise MissingSetError(f"{path} holds only blank lines.")
    for line in filter(str.strip, lines):
        try:
            filled = line.format(c="\0")
        except (LookupError, ValueError, AttributeError):
            filled = ""
        if "\0" not in filled:
            raise MissingSetError(
                f"{path} has the template {line!r}; expected one a line with {{c}} where the name of the class goes, "
                f"such as 'a photo of a {{c}}.'."
            )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise MissingSetError(f"{path} is not text in UTF-8. Get it again.") from None


def _shard_count(folder: Path, split: str) -> int:
    path = folder / split / "nshards.txt"
    text = _text(path).strip()
    if not text.isdigit() or int(text) == 0:
        raise MissingSetError(f"{path} holds {text!r}; expected the number of shards, such as 1.")
    return int(text)


def _classic(job: Job, root: Path) -> EvalSet | None:
    """Find a set in the layouts of clip-benchmark that are not WebDataset: SugarCrepe, Flickr and COCO captions."""
    if job.family == "compositionality" and job.dataset.startswith("sugar_crepe/"):
        folder, kind = root / "sugar_crepe", "sugar_crepe"
        needed, images = [folder / f"{_part(job.dataset)}.json"], folder / "val2017"
    elif job.family == "retrieval" and job.dataset in ("flickr8k", "flickr30k"):
        folder, kind = root / job.dataset, "flickr"
        needed, images = [folder / f"{job.dataset}_test_karpathy.txt"], folder
    elif job.family == "retrieval" and job.dataset == "mscoco_captions":
        folder, kind = root / job.dataset, "mscoco"
        needed, images = [folder / "coco_test_karpathy.json"], folder / "val2014"
    else:
        return None
    if not folder.is_dir() or not needed[0].exists():
        return None
    for path in needed:
        if path.stat().st_size == 0:
            raise MissingSetError(
                f"{path} has no bytes, as a download that failed leaves it. Delete it and get it again."
            )
        if path.suffix == ".json":
            _check_json(path)
    if not images.is_dir():
        raise MissingSetError(f"The set {job.dataset} has {needed[0]} but no images: the folder {images} is missing.")
    size = sum(path.stat().st_size for path in needed)
    type_ = "selection" if kind == "sugar_crepe" else "retrieval"
    return EvalSet(job.dataset, folder, kind, type_, ("test",), 0, size)  # type: ignore[arg-type]


def _check_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise MissingSetError(f"{path} is not readable JSON: {error}. Delete it and get it again.") from None


def _part(dataset: str) -> str:
    return dataset.rpartition("/")[2]
