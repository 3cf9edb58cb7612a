"""A masker to start from: a copy of the template under another name."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from pgsclip.errors import PluginError

_HERE = Path(__file__).parents[1]
_TEMPLATE = (_HERE / "template", _HERE.parent / "plugins" / "pgsclip-template")
"""Places of the template: in an installed wheel, and in the repository."""
_LEFT_OUT = {"__pycache__", ".pytest_cache", "dist", "build"}


def write_plugin(name: str, folder: Path) -> list[Path]:
    """Copy the template into `folder`, which must not exist: masker, module and distribution are called after `name`.

    Returns:
        The files, in the order of their names.

    Raises:
        PluginError: a name that cannot be one, or a folder that is there.
    """
    words = re.split(r"[-_]", name.removeprefix("pgsclip-"))
    fits = words[0][:1].isalpha() and all(re.fullmatch(r"[a-z0-9]+", word) for word in words)
    if not fits or keyword.iskeyword("_".join(words)):
        raise PluginError(
            f"{name!r} cannot be the name of a masker. Give lower-case letters and digits, with hyphens between words, "
            f"such as 'bright-sky'."
        )
    if folder.exists():
        raise PluginError(f"{folder} exists and is not overwritten. Give another name, or move the folder away.")
    template = next((place for place in _TEMPLATE if place.is_dir()), None)
    if template is None:
        raise PluginError("This installation of pgsclip lacks its template. Install pgsclip again.")
    names = {
        "pgsclip_template": f"pgsclip_{'_'.join(words)}",
        "pgsclip-template": f"pgsclip-{'-'.join(words)}",
        "Contrast": "".join(word.capitalize() for word in words),
        "test_contrast": f"test_{'_'.join(words)}",
        "contrast": "-".join(words),
    }
    return [_write_copy(template, part, folder, names) for part in _list_parts(template)]


def _list_parts(template: Path) -> list[Path]:
    """List the files of the template, without what building and testing it left there."""
    parts = [file.relative_to(template) for file in sorted(template.rglob("*")) if file.is_file()]
    return [part for part in parts if not any(name in _LEFT_OUT or name.endswith(".egg-info") for name in part.parts)]


def _write_copy(template: Path, part: Path, folder: Path, names: dict[str, str]) -> Path:
    target = folder / Path(*(_renamed(name, names) for name in part.parts))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_renamed((template / part).read_text(encoding="utf-8"), names), encoding="utf-8")
    return target


def _renamed(text: str, names: dict[str, str]) -> str:
    pattern = "|".join(map(re.escape, names))  # the first that fits wins, so longer ones stand before their parts
    return re.sub(pattern, lambda found: names[found.group()], text)
