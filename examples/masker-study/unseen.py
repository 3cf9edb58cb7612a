"""Training shards without the images that the evaluation sets hold: who was trained on them has seen the answers."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from PIL import Image

from pgsclip.data.eval_images import digest, read_eval_images, tar_members
from pgsclip.data.image_file import is_image_name
from pgsclip.data.spec import local_files
from pgsclip.files import atomic_path

SIDE = 64
"""Longest side of the images that are written, in pixels: reading larger ones would cost more than training."""


def unseen_shards(spec: str, eval_root: Path, folder: Path) -> str:
    """Write the shards of `spec` to `folder`, smaller and without what is evaluated on; the spec of the copies.

    Data that is not in tars here (generated, remote, a table) stays as it is.
    """
    shards = [path for path in local_files(spec) if path.suffix == ".tar"]
    if not shards:
        return spec
    known = {digest(image.content) for image in read_eval_images(eval_root)}
    folder.mkdir(parents=True, exist_ok=True)
    copies = [folder / f"{number:05d}.tar" for number in range(len(shards))]
    left_out = sum(_copy(shard, copy, known) for shard, copy in zip(shards, copies, strict=True) if not copy.is_file())
    if left_out:
        print(f"{left_out} training pairs are left out, as their images are in the evaluation sets.")
    return "::".join(map(str, copies))


def _copy(shard: Path, copy: Path, known: set[bytes]) -> int:
    """How many pairs were left out."""
    members = list(tar_members(shard))
    seen = {_key(name) for name, content in members if is_image_name(name) and digest(content) in known}
    with atomic_path(copy) as written, tarfile.open(written, "w") as tar:
        for name, content in members:
            if _key(name) not in seen:
                smaller = _smaller(content) if is_image_name(name) else content
                entry = tarfile.TarInfo(name)
                entry.size = len(smaller)
                tar.addfile(entry, io.BytesIO(smaller))
    return len(seen)


def _smaller(content: bytes) -> bytes:
    """At most `SIDE` pixels; the format stays."""
    image = Image.open(io.BytesIO(content))
    if max(image.size) <= SIDE:
        return content
    found = io.BytesIO()
    kind = image.format
    image.thumbnail((SIDE, SIDE))
    image.save(found, kind, quality=92)
    return found.getvalue()


def _key(name: str) -> str:
    """What joins image and caption: the name up to the first dot of its last part, as webdataset has it."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition('.')[0]}"
