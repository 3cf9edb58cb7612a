"""The Open Clip Art Library as training pairs: a real data set, in the public domain, that every Debian mirror has.

Its drawings lie in the package openclipart-png, and what they are called in openclipart-svg: each drawing's metadata
has a title, a description and keywords (Dublin Core in RDF, as the W3C's SVG 1.1, chapter 21, suggests).
"""

from __future__ import annotations

import csv
import html
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pgsclip.data.make import ShardReport, make_shards
from pgsclip.data.shard_writer import ShardOptions
from pgsclip.errors import DataError
from pgsclip.files import write_atomically

PACKAGES = ("openclipart-png", "openclipart-svg")
HOW = ShardOptions(side=128, pad=True, per_shard=1000, held_out=500, shuffle=True)
_ROOT = "usr/share/openclipart/"
_TITLE = re.compile(r"<dc:title[^>]*>(.*?)</dc:title>", re.DOTALL)
_DESCRIPTION = re.compile(r"<dc:description[^>]*>(.*?)</dc:description>", re.DOTALL)
_KEYWORD = re.compile(r"<rdf:li[^>]*>(.*?)</rdf:li>", re.DOTALL)


def make_clipart(
    out: Path,
    sources: list[Path],
    *,
    jobs: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ShardReport:
    """Make shards from both packages, each a .deb file or a folder that one was unpacked into.

    Raises:
        DataError: a source is neither, or there are no drawings with titles in them.
    """
    unpacked = out / "drawings"
    table = unpacked / "pairs.csv"
    if not table.exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        captions: dict[str, str] = {}
        drawings: list[str] = []
        for source in sources:
            for name, content in _files(source):
                path = PurePosixPath(name)
                if path.suffix == ".svg":
                    captions[str(path.relative_to("svg").with_suffix(""))] = caption_of(
                        content.decode(errors="replace")
                    )
                elif path.suffix == ".png":
                    drawing = path.relative_to("png").with_suffix("")
                    (unpacked / drawing).parent.mkdir(parents=True, exist_ok=True)
                    (unpacked / f"{drawing}.png").write_bytes(content)
                    drawings.append(str(drawing))
        rows = [(f"{name}.png", captions[name]) for name in sorted(drawings) if captions.get(name)]
        if not rows:
            raise DataError(
                f"There are no drawings with titles in {', '.join(map(str, sources)) or 'nothing'}: "
                f"{len(drawings):,} drawings and {len(captions):,} titles were found. Give both packages, "
                f"{PACKAGES[0]} and {PACKAGES[1]}, as .deb files or unpacked, or --download."
            )
        written = io.StringIO()
        csv.writer(written).writerows([("filepath", "title"), *rows])
        write_atomically(table, written.getvalue())
    made = make_shards(str(table), out, HOW, jobs=jobs, on_progress=on_progress)
    shutil.rmtree(unpacked)
    return made


def download(folder: Path) -> list[Path]:
    """Both packages from this machine's Debian mirror, 156 MB; what is there already stays.

    Raises:
        DataError: there is no apt-get here, or it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if any(folder.glob(f"{package}_*.deb")):
            continue
        program = shutil.which("apt-get")
        if program is None:
            raise DataError(
                f"--download needs apt-get, and there is none here. Get {package}_…_all.deb from "
                f"https://packages.debian.org/{package} and give the file."
            )
        done = subprocess.run([program, "download", package], cwd=folder, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise DataError(
                f"apt-get could not download {package}: {reason}. Is there a network, and `apt-get update`?"
            )
    return [next(iter(sorted(folder.glob(f"{package}_*.deb")))) for package in PACKAGES]


def caption_of(svg: str) -> str:
    """Title and keywords of a drawing, `Dinosauro (dinosaur)`; empty when it has no title and no description.

    Keywords that only name the artist tell nothing about the picture and are left out.
    """
    metadata = svg.partition("<metadata")[2].partition("</metadata>")[0]
    titles = [_text(found) for found in _TITLE.findall(metadata)]
    work = titles[0] if titles else ""
    title = work or next((_text(found) for found in _DESCRIPTION.findall(metadata)), "")
    if not title:
        return ""
    people = {name.casefold() for name in titles[1:]}
    keywords = dict.fromkeys(_text(found) for found in _KEYWORD.findall(metadata))
    tags = [word for word in keywords if word and word.casefold() not in people]
    return f"{title} ({', '.join(tags)})" if tags else title


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Names below the library's root, `png/…` and `svg/…`, with their contents; links are left out."""
    if source.is_dir():
        root = source / _ROOT if (source / _ROOT).is_dir() else source
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root)
            if name.parts[0] in ("png", "svg") and path.is_file() and not path.is_symlink():
                yield name.as_posix(), path.read_bytes()
        return
    with source.open("rb") if source.is_file() else _refused(source) as file:
        data = _data_of(source, file.read())
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
            for member in tar:
                member_name = member.name.removeprefix("./")
                content = tar.extractfile(member) if member.isreg() else None
                inside = (
                    member_name.startswith((f"{_ROOT}png/", f"{_ROOT}svg/"))
                    and ".." not in PurePosixPath(member_name).parts
                )
                if content is not None and inside:
                    yield member_name.removeprefix(_ROOT), content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"The package {source} cannot be unpacked: {error}. Unpack it yourself and give the folder."
        ) from None


def _data_of(source: Path, deb: bytes) -> bytes:
    """The data archive in a .deb, which is an `ar` archive (deb(5)): 60 bytes of header, then content, even-sized."""
    place = 8
    while deb[:8] == b"!<arch>\n" and place + 60 <= len(deb):
        name, size = deb[place : place + 16].decode(errors="replace"), deb[place + 48 : place + 58].strip()
        if not size.isdigit():
            break
        if name.startswith("data.tar"):
            return deb[place + 60 : place + 60 + int(size)]
        place += 60 + int(size) + int(size) % 2
    raise DataError(f"{source} is no Debian package. Give a .deb file, or the folder that one was unpacked into.")


def _refused(source: Path) -> io.BufferedReader:
    raise DataError(f"There is no {source}. Give a .deb file, or the folder that one was unpacked into.")


def _text(found: str) -> str:
    return " ".join(html.unescape(found).split())
