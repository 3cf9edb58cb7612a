"""The images of evaluation sets, read from their files: who is trained on them has seen the answers."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pgsclip.data.image_file import is_image_name
from pgsclip.errors import DataError


class EvalImage(NamedTuple):
    """An image of an evaluation set."""

    set: str
    """The folder under the root, such as `wds_clipart`; a tar that lies in the root itself is its own set."""
    place: str
    """Its file below the root, or `tar: member`."""
    content: bytes
    """The encoded file."""


def read_eval_images(root: Path) -> Iterator[EvalImage]:
    """Yield every image below a folder of sets in clip-benchmark's layouts: in tars, and as files (COCO, Flickr).

    Raises:
        DataError: there is no such folder, or a tar in it cannot be read.
    """
    if not root.is_dir():
        raise DataError(
            f"There is no folder {root} with evaluation sets. `pgsclip data eval-sets` lists what such a folder holds."
        )
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        name = place.parts[0].removesuffix(".tar")
        if path.suffix.lower() == ".tar":
            for member, content in tar_members(path):
                if is_image_name(member):
                    yield EvalImage(name, f"{place}: {member}", content)
        elif is_image_name(path.name) and path.is_file():
            yield EvalImage(name, str(place), path.read_bytes())


def tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of a tar's files, in order.

    Raises:
        DataError: it is no tar, or not whole.
    """
    try:
        with tarfile.open(path) as tar:
            for entry in tar:
                file = tar.extractfile(entry)
                if file is not None:
                    yield entry.name, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as a tar: {str(error).splitlines()[0].rstrip(':')}. Get it again, or leave it out."
        ) from None


def digest(content: bytes) -> bytes:
    """Hash an encoded file; equal only for equal bytes."""
    return hashlib.sha256(content).digest()
