"""What `--data SPEC` means: which kind of source, and which files."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from braceexpand import braceexpand

from pgsclip.config.schema import DataConfig
from pgsclip.data.files import open_folder, open_table
from pgsclip.data.generated import HELD_OUT, GeneratedSource
from pgsclip.data.shards import ShardSource
from pgsclip.data.source import Source
from pgsclip.errors import DataError

GENERATED = "generated"
_HELD_OUT = f"{GENERATED}:{HELD_OUT}"
_FORMS = (
    "Give shards ('dir/{00000..01242}.tar', a glob, 'a::b' for several), a .csv or .tsv, "
    "a folder of images with captions beside them, or 'generated'"
)
_REMOTE = re.compile(r"^(pipe:|[a-z0-9]+://)")
_HELD_OUT_SCENES = 1000


def open_source(spec: str, config: DataConfig) -> Source:
    """The source that a spec means.

    Raises:
        DataError: nothing is there, or it is of no known form.
    """
    if spec == GENERATED:
        return GeneratedSource(size=config.samples) if config.samples else GeneratedSource()
    if spec == _HELD_OUT:
        return GeneratedSource(HELD_OUT, _HELD_OUT_SCENES)
    path = Path(spec)
    if path.suffix in {".csv", ".tsv"} and "::" not in spec:
        if not path.is_file():
            raise DataError(f"There is no table {spec}.")
        return open_table(path, config.image_key, config.caption_key)
    if path.is_dir() and not (tars := sorted(path.glob("*.tar"))):
        return open_folder(path)
    urls = [str(tar) for tar in tars] if path.is_dir() else expand(spec)
    return ShardSource(urls, config.samples)


def expand(spec: str) -> list[str]:
    """Shard patterns, joined by `::`, to the shards that they name, in order.

    Raises:
        DataError: a pattern matches nothing, or names a file that is not there.
    """
    urls: list[str] = []
    for pattern in filter(None, spec.split("::")):
        urls += _expand_one(pattern)
    if not urls:
        raise DataError(f"The data {spec!r} names nothing. {_FORMS}.")
    return urls


def find_held_out(spec: str) -> str | None:
    """Held-out pairs that belong to training data: other scenes, or `val-*.tar` beside the training shards."""
    if spec == GENERATED:
        return _HELD_OUT
    if _REMOTE.match(spec):
        return None
    folders = {Path(url).parent for url in expand(spec) if url.endswith(".tar")} if ".tar" in spec else {Path(spec)}
    found = sorted(str(tar) for folder in folders for tar in folder.glob("val-*.tar"))
    return "::".join(found) if found else None


def _expand_one(pattern: str) -> list[str]:
    if pattern.startswith("pipe:"):
        return list(_braces(pattern))
    if _REMOTE.match(pattern):
        return list(_braces(pattern))
    found: list[str] = []
    for name in _braces(pattern):
        matches = sorted(glob.glob(name)) if glob.has_magic(name) else [name] if Path(name).exists() else []  # noqa: PTH207 - may be absolute
        if not matches:
            raise DataError(f"No file matches {name!r}{_of(pattern, name)}. {_FORMS}.")
        found += matches
    strangers = [name for name in found if not name.endswith(".tar")]
    if strangers:
        raise DataError(f"{strangers[0]} is not a .tar file. {_FORMS}.")
    return found


def _braces(pattern: str) -> list[str]:
    try:
        return list(braceexpand(pattern))
    except ValueError:
        raise DataError(f"The braces in {pattern!r} do not close. {_FORMS}.") from None


def _of(pattern: str, name: str) -> str:
    return "" if pattern == name else f" (from {pattern!r})"
