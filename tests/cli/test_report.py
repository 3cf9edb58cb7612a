from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def test_a_run_becomes_a_page_and_three_kinds_of_tables(cli: Cli, train: Cli) -> None:
    train("--masker", "random", "evaluate.data=generated:held-out")
    said = cli("report", "run")
    assert said.code == 0, said.err
    assert said.out.split() == ["run/report.html", "run/report.md", "run/report.csv", "run/report.tex"]
    page = Path("run/report.html").read_text()
    assert "What the masker keeps" in page
    assert "kept 50%" in page
    assert "| **average** | 35.1 |" in Path("run/report.md").read_text()


def test_data_that_is_gone_costs_the_mask_sheet_only(cli: Cli, train: Cli) -> None:
    train("--masker", "random")
    path = Path("run/config.yaml")
    path.write_text(path.read_text().replace("spec: generated", "spec: gone/{0..3}.tar"))
    said = cli("report", "run", "--out", "page.html")
    assert said.code == 0
    assert "There is no mask sheet: No file matches" in said.err
    assert Path("page.html").exists()


def test_results_alone_are_enough(cli: Cli) -> None:
    assert cli("report", "gone").code == 2
    assert "no run folder or result gone" in cli("report", "gone").err


def test_two_runs_are_compared(cli: Cli, train: Cli) -> None:
    for name in ("a", "b"):
        said = train("--masker", "random", "--out", name, "evaluate.data=generated:held-out")
        assert said.code == 0, said.err
    said = cli("compare", "a", "b")
    assert said.code == 0, said.err
    assert "training generated acc1" in said.out
    assert "loss over FLOPs" in Path("compare.html").read_text()


def test_one_run_or_no_run_cannot_be_compared(cli: Cli, train: Cli) -> None:
    train("--masker", "random")
    said = cli("compare", "run")
    assert (said.code, said.out) == (2, "")
    assert "two or more run folders" in said.err
    assert "gone is not a run folder" in cli("compare", "run", "gone").err


def test_a_place_that_cannot_be_written_is_a_sentence(cli: Cli, train: Cli) -> None:
    train("--masker", "random")
    said = cli("report", "run", "--no-masks", "--out", "gone/page.html")
    assert said.code == 2
    assert re.search(r"written to gone/page\.html: No such file or directory.* another --out", said.err)


def test_runs_are_compared_over_their_seeds(cli: Cli, train: Cli) -> None:
    train("--masker", "random", "--seed", "0", "--out", "random-0", "evaluate.data=generated:held-out")
    config = Path("random-0/config.yaml").read_text()
    for masker, seed in (("random", 1), ("centered", 0), ("centered", 1)):  # as if they had come to the same
        copied = Path(shutil.copytree("random-0", f"{masker}-{seed}")) / "config.yaml"
        copied.write_text(config.replace("name: random", f"name: {masker}").replace("seed: 0", f"seed: {seed}"))
    said = cli("compare", "--over-seeds", "random-0", "random-1", "centered-0", "centered-1", "--out", "seeds.html")
    assert said.code == 0, said.err
    assert "Difference to random, paired by seed" in said.out
    assert Path("seeds.html").is_file()
    assert "| centered | 2 | 50.0% |" in Path("seeds.md").read_text()
    said = cli("compare", "--over-seeds", "random-0", "random-1")
    assert said.code == 2
    assert "All 2 runs have one config but for their seed" in said.err
