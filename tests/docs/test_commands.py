"""Every command on every page of docs/, and in the README of every plugin, is run.

They run in the order of their page, on data and models as small as can be.

A block that is indented, or fenced as bash, is commands; everything else on a page is fenced with its own language.
What is put in place of what is printed stands in `SMALLER`, what belongs to other programs or wants a network in
`NOT_RUN`, each with the reason. A command that is neither fails here.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import typer
from PIL import Image

from pgsclip.cli.app import app, main
from pgsclip.data.generated import scene
from pgsclip.evaluation import demo
from pgsclip.evaluation.demo import write_demo_sets, write_shards

pytestmark = pytest.mark.xdist_group("docs")  # what pages take for granted is made once

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "plugins").glob("*/README.md"))]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
MODEL = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
# Pattern and what stands in its place, one after the other.
SMALLER = [
    (r"'?[^' ]*\{00000\.\.\d+\}\.tar[^' ]*'?", "shards/train-00000.tar"),
    (r"\bclipart/(train|val)-", r"shards/\1-"),
    (r"\bSPEC\b|(?<=--data )clipart\b|(?<=data check )clipart\b|(?<=data preview )clipart\b", "shards"),
    (r"\bRUN\b", "runs/mine"),
    (r"^(?:[A-Z]+=\S+ )+(?:sbatch )?examples/cluster/\S+", "pgsclip train --dry-run"),  # tests/examples runs those
    (r"^torchrun --nproc-per-node 8 -m pgsclip train", "pgsclip train --dry-run"),
    (r"^torchrun --nproc-per-node 8 -m pgsclip", "pgsclip"),
    (r"--eval-root (?:DIR|sets|data)(?: --datasets \S+)?", "--eval-root sets"),
    (r"^(pgsclip eval (?!.*--demo).*)$", r"\1 --datasets demo-shapes --batch-size 96"),
    (r"^(pgsclip eval .*)$", r"\1 --workers 0"),
    (r"^(pgsclip data check .*--eval-root) \S+", r"\1 sets"),
    (r"^pgsclip data make photos/ shards (.*)--held-out 500", r"pgsclip data make photos/ made \1--held-out 2"),
    (r"(?<=--to )transformers", "open_clip"),  # its import takes seconds; tests/export has it
    (r"^pgsclip bench step.*", "pgsclip bench step --model pgsclip-docs --batch-size 2 --repeats 1"),
    (r"^(pgsclip bench data.*)", r"\1 --count 2 --repeats 1"),
    (r"^pgsclip bench maskers.*", "pgsclip bench maskers --image-size 32 --batch-size 2 --repeats 1"),
    (r"^(pgsclip bench masks.*?)(?: --count \d+)?$", r"\1 --count 4 --image-size 64"),
    (r"^(pgsclip viz-mask .*--seeds) \d+", r"\1 2"),
    (r"^(pgsclip viz-mask (?!.*--checkpoint).*)$", r"\1 --image-size 64"),
    (r"^(pgsclip data (?:check|make) .*)$", r"\1 --jobs 1"),
    (r"(?<=--dry-run)(?! --no-measure)", " --no-measure"),  # tests/cli/test_train.py measures
]
# Settings of every training; those that a page itself gives stay as they are.
TINY = ("model.name=pgsclip-docs", "data.samples=16", "data.workers=0", "evaluate.data=null")
# Trainings that are planned and not begun, and why.
ONLY_PLANNED = {
    r"cc12m": "150 million parameters for eight GPUs",
    r"log\.loggers": "what a logger needs is not installed everywhere; its own tests run it",
}

# Not run, and why; where it is a command of ours, its options are checked all the same.
NOT_RUN = {
    r"^python -m pip install": "a network",
    r"^(wget|sed|img2dataset) ": "another program, and a network",
    r"^(tensorboard|wandb|trackio) ": "what a logger hands its rows to",
    r"^python -m pytest": "the tests of a plugin, which its own session runs",
    r"^--set ": "an option alone",
    r"^python (examples|tests|docs)/\S+\.py": "a file of the repository, which is there and has a test of its own",
    r"^pgsclip .*--download$": "a network",
    r"^pgsclip push ": "a network, and an account",
    r"^pgsclip train .*text\.masker=mine": "a text masker that the reader has written",
    r"^pgsclip data clipart .*\.deb$": "156 MB of packages; tests/data/test_clipart.py makes its own",
    r"^pgsclip bench loss ": "takes minutes; tests/benchmarks/test_loss_cost.py runs it",
}
# Commands that end with another code than 0 when they do their work.
CODES = {r"^pgsclip data check .*(--ranks 8|--eval-root)": 1}  # one shard for many workers; the scenes are alike


def blocks(page: str) -> Iterator[str]:
    """The blocks of commands on a page, without their indentation.

    Raises:
        AssertionError: a fence without a language.
    """
    fence: str | None = None
    kept: list[str] = []
    blank = True
    for line in [*page.splitlines(), "", "end"]:
        if line.startswith("```"):
            assert fence is not None or line != "```", "say the language of the fenced block: ```text, ```python …"
            if kept:
                yield "\n".join(kept)
            fence, kept, blank = (line[3:] if fence is None else None), [], True
        elif fence is not None:
            kept += [line] if fence == "bash" else []
        elif line.startswith("    ") and (blank or kept):
            kept.append(line[4:])
        else:
            if kept and line:
                yield "\n".join(kept)
                kept = []
            blank = line == ""


def commands(page: str) -> list[str]:
    """One string for each command; lines that go on are joined, comments are gone, `a && b` are two."""
    lines = "\n".join(blocks(page)).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in re.sub(r"\s#\s.*", "", line).split(" && ")]
    return [" ".join(part.split()) for part in parts if part.strip()]


def smaller(command: str) -> str:
    """The command with little in place of much."""
    ready = command
    for pattern, instead in SMALLER:
        ready = re.sub(pattern, instead, ready)
    if not ready.startswith("pgsclip train"):
        return ready
    given = re.findall(r"--set '?([\w.]+)=", ready)
    tiny = [f"--set {setting}" for setting in TINY if setting.partition("=")[0] not in given]
    if any(re.search(pattern, ready) for pattern in ONLY_PLANNED) and "--dry-run" not in ready:
        tiny.append("--dry-run --no-measure")
    return " ".join([ready, "--batch-size 8 --steps 1", *tiny])


def reason_not_to_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, command)), None)


def call(command: str) -> int:
    """The exit code of one of our commands, run in this process."""
    words = shlex.split(command.partition(" > ")[0])
    assert words[0] == "pgsclip", f"{command!r} is neither a command of ours nor in NOT_RUN"
    with pytest.raises(SystemExit) as stop:
        main(words[1:])
    return int(stop.value.code or 0)


def check_words(command: str) -> None:
    """That a command which is not run could be: its file is there, its options are known."""
    words = shlex.split(command)
    if words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file(), f"there is no {words[1]}"
    if words[0] != "pgsclip":
        return
    known: Any = typer.main.get_command(app)
    while hasattr(known, "commands"):
        known = known.commands[words.pop(1)]
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options, f"unknown options in {command!r}"


@pytest.fixture(scope="module", autouse=True)
def few_questions() -> Iterator[None]:
    """The generated evaluation sets have an eighth of their images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_TEST", 12)
        patch.setattr(demo, "_TRAIN", 24)
        yield


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages take for granted: photographs, shards, evaluation sets, a finished run."""
    folder = tmp_path_factory.mktemp("things")
    (folder / "models").mkdir()
    (folder / "models" / "pgsclip-docs.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder / "models")
    pairs = [scene("training", number) for number in range(24)]
    images = [(Image.fromarray(one.image), "txt", one.caption) for one in pairs]
    write_shards(folder / "shards", "", images[:16], 1)
    (folder / "shards" / "0.tar").rename(folder / "shards" / "train-00000.tar")
    write_shards(folder / "shards", "", images[16:], 1)
    (folder / "shards" / "0.tar").rename(folder / "shards" / "val-00000.tar")
    (folder / "shards" / "nshards.txt").unlink()
    (folder / "photos").mkdir()
    for number, one in enumerate(pairs[:4]):
        Image.fromarray(one.image).save(folder / "photos" / f"{number}.jpg")
        Image.fromarray(one.mask).save(folder / "photos" / f"{number}_mask.png")
        (folder / "photos" / f"{number}.txt").write_text(one.caption)
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        images[0][0].save(folder / name)
    write_demo_sets(folder / "sets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert call(smaller("pgsclip train --recipe smoke --masker pgs --out runs/mine")) == 0
    return folder


@pytest.fixture(scope="module")
def done() -> set[str]:
    """What need not be run again on another page."""
    return set()


@pytest.fixture
def place(things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that but the run, in which a page may do what it likes."""
    for path in things.iterdir():
        if path.name == "shards":
            shutil.copytree(path, tmp_path / path.name)
        elif path.name != "runs":
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)).removeprefix("docs/"))
def test_every_command_runs(
    page: Path, place: Path, things: Path, done: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for plugin in PLUGINS:  # a check-out has them all, an environment need not
        installed(plugin, place / "plugins", monkeypatch)
    for command in commands(page.read_text()):
        if reason_not_to_run(command):
            check_words(command)
            if command.startswith("python -m pip install -e ./"):
                installed(place / command.rpartition("/")[2], place / "site", monkeypatch)
            continue
        ready = smaller(command)
        if ready in done:
            continue
        if ready.startswith(("pgsclip train", "pgsclip viz-mask", "pgsclip bench")):  # what they leave is made below
            done.add(ready)
        if not ready.startswith("pgsclip train"):  # of what has been trained on other pages, or for days
            for run in re.findall(r"runs/[\w.-]+", ready):
                if not (place / run).exists():
                    shutil.copytree(things / "runs" / "mine", place / run)
        expected = next((code for pattern, code in CODES.items() if re.search(pattern, ready)), 0)
        assert call(ready) == expected, f"{command!r}, run as {ready!r}"


def installed(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip does for a plugin, without a network for the build backend: it is there for this test alone."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [line for group, names in groups for line in (f"[{group}]", *(f"{n} = {at}" for n, at in names.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for path in (folder, source / "src"):
        monkeypatch.syspath_prepend(str(path))


def test_a_new_command_does_not_slip_through() -> None:
    page = "text\n\n    pgsclip maskers && make it \\\n      so\n\n```bash\nls    # list\n```\n\n```python\nx\n```\n"
    assert commands(page) == ["pgsclip maskers", "make it so", "ls"]
    assert [reason_not_to_run(command) for command in commands(page)] == [None, None, None]
    with pytest.raises(AssertionError, match="neither a command of ours nor in NOT_RUN"):
        call("make it so")
    with pytest.raises(AssertionError, match="say the language"):
        commands("```\nls\n```\n")
    with pytest.raises(AssertionError, match="unknown options in 'pgsclip push runs/a b/c --pubic'"):
        check_words("pgsclip push runs/a b/c --pubic")
    with pytest.raises(AssertionError, match=r"there is no examples/none\.py"):
        check_words("python examples/none.py")


def test_no_entry_of_a_table_is_left_over() -> None:
    every = [command for page in PAGES for command in commands(page.read_text())]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, command) for command in every), f"nothing on any page matches {pattern!r}"
