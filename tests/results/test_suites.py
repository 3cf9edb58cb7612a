from __future__ import annotations

from pathlib import Path

import pytest

from pgsclip.errors import ConfigError
from pgsclip.results.suites import AVERAGES, PAPER, Job, list_spellings, plan_jobs, to_canonical


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("cifar10", "cifar10"), ("wds/cifar10", "cifar10"), ("wds/vtab/cifar10", "cifar10"), ("vtab/pcam", "pcam"),
        ("vtab-dtd", "dtd"), ("wds/clipart", "clipart"), ("vtab/mine", "vtab/mine"), (" wds/cars ", "cars"),
    ],
)  # fmt: skip
def test_spellings_of_one_set_are_one_name(given: str, name: str) -> None:
    assert to_canonical(given) == name
    assert all(to_canonical(f"wds/{other}") == name for other in list_spellings(name))


def test_the_paper_s_suite_has_the_paper_s_sizes() -> None:
    assert [len(names) for names in PAPER.values()] == [17, 3, 3, 6, 7]
    for average in AVERAGES:
        assert set(average.members) <= set(PAPER[average.family])


def test_jobs_of_a_suite_and_of_named_sets() -> None:
    assert plan_jobs(["retrieval"], "paper") == [Job("retrieval", name) for name in PAPER["retrieval"]]
    assert plan_jobs(["robustness"], "paper", ["wds/pets", "pets"]) == [Job("robustness", "pets")]
    every = plan_jobs(list(PAPER), "paper", ["mine", "imagenet1k", "talk"], {"talk": "retrieval"})
    assert every == [
        Job("zeroshot", "mine"), Job("retrieval", "talk"), Job("linear-probe", "imagenet1k"),
        Job("robustness", "imagenet1k"),
    ]  # fmt: skip


def test_a_file_is_a_suite(tmp_path: Path) -> None:
    path = tmp_path / "task-zero-shot-robu.txt"
    path.write_text("wds/imagenet1k\n\n# a word\nwds/imagenetv2")
    assert plan_jobs(["robustness"], str(path)) == [Job("robustness", "imagenet1k"), Job("robustness", "imagenetv2")]
    path.write_text("# nothing")
    with pytest.raises(ConfigError, match=r"names no set; write the name of one set a line"):
        plan_jobs(["robustness"], str(path))


def test_unknown_names_are_sentences() -> None:
    with pytest.raises(ConfigError, match=r"There is no suite 'papers'\. Did you mean 'paper'\?"):
        plan_jobs(["zeroshot"], "papers")
    with pytest.raises(ConfigError, match=r"Unknown family 'zero-shot'\. Did you mean 'zeroshot'\?"):
        plan_jobs(["zero-shot"], "paper")
