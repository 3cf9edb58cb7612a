"""Which sets each family of tasks is evaluated on, and which averages are formed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pgsclip.errors import ConfigError, did_you_mean

FAMILIES = ("zeroshot", "retrieval", "linear-probe", "robustness", "compositionality")
"""In the order of the paper's tables."""

MAIN_METRIC = {
    "zeroshot": "acc1",
    "retrieval": "image_retrieval_recall@1",
    "linear-probe": "lp_acc1",
    "robustness": "acc1",
    "compositionality": "text_acc",
}
"""Metric that a table shows of a family where it shows one number; clip-benchmark's names."""

_SUGAR_CREPE = ("replace_obj", "replace_att", "replace_rel", "swap_obj", "swap_att", "add_obj", "add_att")

PAPER: Mapping[str, tuple[str, ...]] = {
    "zeroshot": (
        "food101", "cifar10", "cifar100", "sun397", "cars", "voc2007", "fgvc_aircraft", "dtd", "pets", "caltech101",
        "flowers", "stl10", "eurosat", "resisc45", "gtsrb", "country211", "pcam",
    ),
    "retrieval": ("mscoco_captions", "flickr8k", "flickr30k"),
    "linear-probe": ("cifar10", "cifar100", "imagenet1k"),
    "robustness": ("imagenet1k", "imagenetv2", "imagenet-a", "imagenet-r", "imagenet-o", "imagenet_sketch"),
    "compositionality": tuple(f"sugar_crepe/{part}" for part in _SUGAR_CREPE),
}  # fmt: skip
"""arXiv 2503.17080, sections 4.2-4.4, as listed in the authors' evaluation script."""

DEMO: Mapping[str, tuple[str, ...]] = {
    "zeroshot": ("demo-shapes",),
    "retrieval": ("demo-captions",),
    "linear-probe": ("demo-shapes",),
    "robustness": ("demo-noisy", "demo-grey"),
    "compositionality": ("demo-colours",),
}
"""Generated sets, one or two for each family; no name is that of a published benchmark."""

_SUITES = {"paper": PAPER, "demo": DEMO}

_VTAB = frozenset({"cifar10", "cifar100", "dtd", "pets", "caltech101", "flowers", "eurosat", "resisc45", "pcam"})
"""Sets that the hub calls `vtab/NAME`."""


class Average(NamedTuple):
    """The plain mean over sets, each set counted once, as a column of its own."""

    name: str
    family: str
    members: tuple[str, ...]


AVERAGES = (
    Average("average", "zeroshot", PAPER["zeroshot"]),
    Average("average", "linear-probe", PAPER["linear-probe"]),
    Average("average", "robustness", PAPER["robustness"]),
    Average("out of distribution", "robustness", PAPER["robustness"][1:]),
    Average("object", "compositionality", tuple(f"sugar_crepe/{how}_obj" for how in ("replace", "swap", "add"))),
    Average("attribute", "compositionality", tuple(f"sugar_crepe/{how}_att" for how in ("replace", "swap", "add"))),
    Average("relation", "compositionality", ("sugar_crepe/replace_rel",)),
)
"""Averages of the paper. Out of distribution leaves out ImageNet-1K itself."""


class Job(NamedTuple):
    """One set in one family."""

    family: str
    dataset: str
    """Canonical: without `wds/` and `vtab/`."""


def to_canonical(name: str) -> str:
    """Return the one name of a set: `cifar10` for `wds/vtab/cifar10`, `vtab/cifar10` and `wds/cifar10`."""
    short = name.strip().removeprefix("wds/").strip("/")
    plain = short.removeprefix("vtab/").removeprefix("vtab-")
    return plain if plain in _VTAB else short


def list_spellings(name: str) -> tuple[str, ...]:
    """List every name that the hub or a user may give a set, the canonical one first."""
    return (name, f"vtab/{name}") if name in _VTAB else (name,)


def plan_jobs(
    families: Sequence[str], suite: str, datasets: Sequence[str] = (), kinds: Mapping[str, str] | None = None
) -> list[Job]:
    """Plan which set is evaluated in which family.

    Args:
        suite: `paper`, or a file with the name of one set a line, as the authors' `task-*.txt`.
        datasets: these sets instead of the suite's.
        kinds: set → the family that its files say it belongs to; asked when several families are evaluated and the
            paper's suite does not know the set.

    Raises:
        ConfigError: no such family or suite.
    """
    for family in families:
        if family not in FAMILIES:
            raise ConfigError(
                f"Unknown family {family!r}.{did_you_mean(family, FAMILIES)} There are {', '.join(FAMILIES)}."
            )
    if not datasets and suite in _SUITES:
        return [Job(family, name) for family in families for name in _SUITES[suite][family]]
    names = dict.fromkeys(to_canonical(name) for name in (datasets or _read_suite(suite)))
    jobs = [Job(family, name) for name in names for family in _choose_families(name, families, kinds or {})]
    return sorted(jobs, key=lambda job: FAMILIES.index(job.family))


def _choose_families(name: str, families: Sequence[str], kinds: Mapping[str, str]) -> list[str]:
    """Choose the families that a set is evaluated in; a single one takes every set that is named."""
    if len(families) == 1:
        return [families[0]]
    own = [family for family in families if name in PAPER[family]] or [kinds.get(name, "zeroshot")]
    return [family for family in own if family in families]


def _read_suite(suite: str) -> list[str]:
    path = Path(suite)
    if not path.is_file():
        raise ConfigError(
            f"There is no suite {suite!r}.{did_you_mean(suite, ['paper'])} Give paper, or a file with the "
            f"name of one set a line."
        )
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The suite {suite} cannot be read: {error}.") from None
    if not any(lines):
        raise ConfigError(f"The suite {suite} names no set; write the name of one set a line, such as wds/cifar10.")
    return [line for line in lines if line]
