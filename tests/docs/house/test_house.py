"""The script that measures the house, on a house of a few rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REPEATED = "".join(f"    total += values[{n}]  # {n}\n" for n in range(7))


def files(**changed: str) -> dict[str, str]:
    """Three floors: `errors.py`; `low` and `low/deep`, which import it; `top.py`, which imports `low`."""
    return {
        "small/__init__.py": "",
        "small/errors.py": "class SmallError(Exception):\n    '''Root of all.'''\n",
        "small/low/__init__.py": "",
        "small/low/sum.py": f"from small.errors import SmallError\n\n\ndef add(values):\n    total = 0\n{REPEATED}"
        "    if not total:\n        raise SmallError\n    return total\n",
        "small/low/deep/__init__.py": "",
        "small/low/deep/other.py": f"from small import errors\n\n\ndef add_too(values):\n    total = 0\n{REPEATED}"
        "    return total, errors\n",
        "small/top.py": "def run():\n    from small.low.sum import add  # when it is needed\n\n    return add([])\n",
    } | changed


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write(tmp_path, files())
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def write(root: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def house(root: Path, *options: str) -> tuple[int, dict[str, list[str]], str]:
    """Exit code, the values of each line of the table, everything that was printed."""
    command = [sys.executable, str(ROOT / "docs" / "house"), "--root", str(root), "--package", "small", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    table = done.stdout.partition("\n\n")[0].splitlines()
    rows = [line.partition("   ") if "   " in line else line.partition("  ") for line in table]
    return done.returncode, {name.strip(): rest.split() for name, _, rest in rows}, done.stdout + done.stderr


def test_a_sound_house_is_counted(repository: Path) -> None:
    code, figures, printed = house(repository)
    assert code == 0, printed
    expected = {
        "files": 7,
        "rooms": 4,  # errors.py, low, low/deep, top.py
        "arrows between rooms": 3,
        "floors": 3,
        "circles of rooms": 0,
        "circles of files": 0,
        "functions": 3,
        "functions over 45 lines": 0,
        "repeated blocks of 6 lines or more": 1,
        "file names that occur twice": 0,
        "public class names that occur twice": 0,
    }
    assert {name: figures[name] for name in expected} == {name: [str(value)] for name, value in expected.items()}
    assert "8 lines small/low/deep/other.py:5 = small/low/sum.py:5" in printed  # `total = 0` too
    lines = sum(text.count("\n") for text in files().values())
    assert figures["comments per 100 lines"] == [f"{100 * 15 / lines:.1f}"]


LONG = "def long():\n" + "    print()\n" * 60
BRANCHES = "def branch(x):\n" + "    if x and x:\n        pass\n" * 8
WIDE = f"def wide({', '.join('abcdefgh')}):\n    pass\n"


@pytest.mark.parametrize(
    ("name", "text", "figure", "place"),
    [
        ("small/low/long.py", LONG, "functions over 60 lines", "small/low/long.py:1 long 61"),
        ("small/low/branch.py", BRANCHES, "complexity over 15", "small/low/branch.py:1 branch 17"),
        (
            "small/errors.py",
            "from small.top import run\n" + files()["small/errors.py"],
            "circles of files",
            "small/top.py",
        ),
    ],
)
def test_what_should_not_be_is_named_and_ends_with_one(
    repository: Path, name: str, text: str, figure: str, place: str
) -> None:
    write(repository, {name: text})
    code, figures, printed = house(repository)
    assert code == 1
    assert figures[figure] == ["1"]
    assert place in printed
    assert f"There should be none: {figure}." in printed


def test_what_is_only_much_is_counted_and_allowed(repository: Path) -> None:
    write(repository, {"small/low/deep/errors.py": files()["small/errors.py"] + WIDE})
    code, figures, printed = house(repository)
    assert code == 0
    assert figures["functions of more than 7 parameters"] == ["1"]
    assert "errors.py: small/errors.py, small/low/deep/errors.py" in printed
    assert "SmallError: small/errors.py, small/low/deep/errors.py" in printed


def test_a_revision_stands_beside_it_and_only_new_places_beneath(repository: Path) -> None:
    write(repository, {"small/low/wide.py": WIDE, "small/top.py": "\n" + files()["small/top.py"]})
    code, figures, printed = house(repository, "--vs", "HEAD")
    assert code == 0
    assert figures["files"] == ["7", "8"]
    assert figures["functions of more than 7 parameters"] == ["0", "1"]
    assert "functions of more than 7 parameters, not in HEAD:\n  small/low/wide.py:1 wide 8" in printed
    assert "repeated blocks of 6 lines or more, not in HEAD" not in printed


def test_an_unknown_revision_is_a_sentence(repository: Path) -> None:
    code, _, printed = house(repository, "--vs", "nowhere")
    assert code == 1
    assert "git cannot give small of 'nowhere'" in printed
    assert "Traceback" not in printed
