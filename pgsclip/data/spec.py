"""What `--data SPEC` means: which kind of source, and which files."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from braceexpand import braceexpand
from webdataset.gopen import gopen_schemes

from pgsclip.config.schema import DataConfig
from pgsclip.data.generated import HELD_OUT, GeneratedSource
from pgsclip.data.image_files import open_folder, open_table
from pgsclip.data.index import count_all
from pgsclip.data.shards import ShardSource
from pgsclip.data.source import PairSource
from pgsclip.errors import DataError

GENERATED = "generated"
_HELD_OUT = f"{GENERATED}:{HELD_OUT}"
_FORMS = (
    "Give shards ('dir/{00000..01242}.tar', a glob, 'a::b' for several), a .csv or .tsv, "
    "a folder of images with captions beside them, or 'generated'"
)
_REMOTE = re.compile(r"^(pipe:|[a-z0-9]+://)")
_HELD_OUT_SCENES = 1000
_TABLES = (".csv", ".tsv")
_VALIDATION = "val-*.tar"


def open_source(spec: str, config: DataConfig) -> PairSource:
    """The source that a spec means.

    Raises:
        DataError: nothing is there, or it is of no known form.
    """
    if spec == GENERATED:
        return GeneratedSource(size=config.samples) if config.samples else GeneratedSource()
    if spec == _HELD_OUT:
        return GeneratedSource(HELD_OUT, _HELD_OUT_SCENES)
    shards = shard_urls(spec)
    if shards:
        return ShardSource(shards, count_all(shards) if config.samples is None else config.samples)
    path = Path(spec)
    if path.is_dir():
        return open_folder(path)
    if not path.is_file():
        raise DataError(f"There is no table {spec}.")
    return open_table(path, config.image_key, config.caption_key)


def shard_urls(spec: str) -> list[str]:
    """The shards that a spec means, in order; none for a table, a folder without tars and generated pairs.

    Raises:
        DataError: a pattern matches nothing, or names a file that is not there.
    """
    path = Path(spec)
    if spec in (GENERATED, _HELD_OUT) or (path.suffix.lower() in _TABLES and "::" not in spec):
        return []
    return _tars_in(path) if path.is_dir() else expand(spec)


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


def local_files(spec: str) -> list[Path]:
    """The shards or the table of a spec, or its folder of images; nothing for data that is generated or remote."""
    path = Path(spec)
    if path.is_dir():
        return [Path(tar) for tar in _tars_in(path)] or [path]
    if spec in (GENERATED, _HELD_OUT) or path.is_file():
        return [path] if path.is_file() else []
    found = [Path(url) for url in expand(spec)]
    return found if all(file.exists() for file in found) else []


def find_held_out(spec: str) -> str | None:
    """Held-out pairs that belong to training data: other scenes, or `val-*.tar` beside the training shards.

    A shard that is trained on is never one of them.
    """
    if spec == GENERATED:
        return _HELD_OUT
    if _REMOTE.match(spec):
        return None
    path = Path(spec)
    trained = _tars_in(path) if path.is_dir() else expand(spec) if ".tar" in spec else []
    found = sorted({str(tar) for url in trained for tar in Path(url).parent.glob(_VALIDATION)} - {*trained})
    return "::".join(found) if found else None


def _tars_in(folder: Path) -> list[str]:
    """All tars but those that are held out from the others."""
    tars = sorted(folder.glob("*.tar"))
    return [str(tar) for tar in tars if not tar.match(_VALIDATION)] or [str(tar) for tar in tars]


def _expand_one(pattern: str) -> list[str]:
    if _REMOTE.match(pattern):
        return _remote(pattern)
    found: list[str] = []
    # names before patterns: a folder may be called `data[1]`
    for name in [pattern] if Path(pattern).exists() else _braces(pattern):
        matches = [name] if Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207 - may be absolute
        if not matches:
            raise DataError(f"No file matches {name!r}{_of(pattern, name)}. {_FORMS}.")
        found += matches
    strangers = [name for name in found if not name.endswith(".tar")]
    if strangers:
        raise DataError(f"{strangers[0]} is not a .tar file. {_FORMS}.")
    return found


def _remote(pattern: str) -> list[str]:
    kind = pattern.partition(":")[0]
    readers = sorted(name for name in gopen_schemes if not name.startswith("__"))
    if kind not in readers:
        raise DataError(
            f"{pattern!r} cannot be opened: {kind}: is none of {', '.join(readers)}. "
            f"Give 'pipe:COMMAND' with a command that writes the tar to its output."
        )
    return _braces(pattern)


def _braces(pattern: str) -> list[str]:
    try:
        return list(braceexpand(pattern))
    except ValueError:
        raise DataError(f"The braces in {pattern!r} do not close. {_FORMS}.") from None


def _of(pattern: str, name: str) -> str:
    return "" if pattern == name else f" (from {pattern!r})"
