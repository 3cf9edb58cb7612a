"""Pairs whose images are files of their own: listed in a table, or in a folder with captions beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pgsclip.data.batch import Fault
from pgsclip.data.image_file import IMAGE_ENDINGS, open_image
from pgsclip.data.source import Raw, WorkerPass
from pgsclip.errors import DataError, did_you_mean

IMAGE_NAMES = ("filepath", "image_path", "image", "path", "file", "filename", "file_name")
CAPTION_NAMES = ("title", "caption", "text", "description")


class FileSource:
    """(image file, caption) pairs that are all known at the start; any worker can reach any of them."""

    shards: int | None = None
    shuffled = True

    def __init__(self, origin: str, pairs: list[tuple[Path, str | None]], description: str) -> None:
        self._origin = origin
        self._pairs = pairs
        self.size = len(pairs)
        self.description = description

    def read(self, work: WorkerPass, skip: int = 0) -> Iterator[Raw | Fault]:
        """One worker's share of one pass."""
        for index in work.share(self.size)[skip:]:
            yield self.pair(index)

    def read_all(self) -> Iterator[Raw | Fault]:
        """Every pair once, in the order of the table or of the names."""
        for index in range(self.size):
            yield self.pair(index)

    def pair(self, index: int) -> Raw | Fault:
        """Number `index` of the table, or of the names in order."""
        path, caption = self._pairs[index]
        if caption is None:
            return Fault("image without caption", self._origin, str(path))
        if not caption.strip():
            return Fault("empty caption", self._origin, str(path))
        return Raw(self._origin, str(path), caption.strip(), partial(open_image, path))


def open_table(path: Path, image_key: str | None, caption_key: str | None) -> FileSource:
    """A CSV (or TSV, by its suffix) with a header; image paths are relative to the table's folder.

    Raises:
        DataError: the file or a column is missing, or there is no row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            columns = list(rows.fieldnames or [])
            image = find_column(path, columns, image_key, IMAGE_NAMES, "image_key")
            caption = find_column(path, columns, caption_key, CAPTION_NAMES, "caption_key")
            pairs = [(path.parent / (row[image] or ""), row[caption]) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The table {path} cannot be read: {error}.") from None
    if not pairs:
        raise DataError(f"The table {path} has a header but no rows.")
    return FileSource(str(path), pairs, f"{len(pairs):,} pairs in {path.name}")


def open_folder(path: Path) -> FileSource:
    """Every image below `path`, its caption in a .txt file of the same name beside it.

    Raises:
        DataError: no image has a caption.
    """
    images = sorted(file for file in path.rglob("*") if file.suffix.lower().lstrip(".") in IMAGE_ENDINGS)
    pairs = [(image, _caption_beside(image)) for image in images]
    if all(caption is None for _, caption in pairs):
        raise DataError(
            f"There are no pairs in {path}: it holds {len(images)} images and none has a caption beside it. "
            f"Put the caption of photo.jpg into photo.txt, or give a CSV with both."
        )
    return FileSource(str(path), pairs, f"{len(pairs):,} images in {path.name}/")


def _caption_beside(image: Path) -> str | None:
    try:
        return image.with_suffix(".txt").read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None


def find_column(path: Path, columns: list[str], wanted: str | None, names: tuple[str, ...], setting: str) -> str:
    """The column that is wanted, or else the first with one of the usual names.

    Args:
        setting: what names another column, such as `image_key`.

    Raises:
        DataError: there is none.
    """
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise DataError(
            f"The table {path} has no column {wanted!r}.{did_you_mean(wanted, columns)} It has: {', '.join(columns)}."
        )
    for column in columns:
        if column.strip().lower() in names:
            return column
    raise DataError(
        f"The table {path} has no column called {', '.join(names[:-1])} or {names[-1]}; it has: "
        f"{', '.join(columns) or 'no header'}. Name the right one with --set data.{setting}=COLUMN, "
        f"or --{setting.replace('_', '-')} COLUMN of `pgsclip data make`."
    )
