"""Pairs of a Hugging Face dataset that lies on disk: a folder of `save_to_disk`, or parquet files.

Read with `datasets`, which is asked for only here and never reaches for the network.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pgsclip.data.batch import Fault
from pgsclip.data.image_file import open_image
from pgsclip.data.image_files import CAPTION_NAMES, IMAGE_NAMES, find_column
from pgsclip.data.source import Raw
from pgsclip.errors import DataError

_SPLITS = "dataset_dict.json"
_SAVED = "state.json"


def is_arrow(path: Path) -> bool:
    """Whether a path is a dataset of this kind, by its files alone."""
    if path.is_dir():
        return (path / _SPLITS).exists() or (path / _SAVED).exists() or any(path.glob("*.parquet"))
    return path.suffix == ".parquet"


class ArrowPairs:
    """Rows as pairs, each reached by its number."""

    def __init__(self, origin: str, rows: Any, image: str, caption: str) -> None:
        self._origin = origin
        self._rows = rows
        self._image = image
        self._caption = caption
        self.size = len(rows)

    def pair(self, index: int) -> Raw | Fault:
        """Row `index`; a list of captions gives its first."""
        row = self._rows[index]
        key = f"row {index}"
        caption = row[self._caption]
        if isinstance(caption, list | tuple):
            caption = caption[0] if caption else None
        if caption is None:
            return Fault("image without caption", self._origin, key)
        if not str(caption).strip():
            return Fault("empty caption", self._origin, key)
        content = row[self._image]
        if isinstance(content, dict):
            content = content.get("bytes") or content.get("path")
        if content is None:
            return Fault("caption without image", self._origin, key)
        source = Path(content) if isinstance(content, str) else content
        return Raw(self._origin, key, str(caption).strip(), partial(open_image, source))


def open_arrow(path: Path, image_key: str | None, caption_key: str | None) -> ArrowPairs:
    """The pairs of a saved dataset.

    Raises:
        DataError: `datasets` is not installed, the folder holds several splits, or a column is missing.
    """
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{path} is a Hugging Face dataset, which is read with the package datasets, and that is not installed. "
            f"Install it with `python -m pip install datasets`, or save the pairs as a CSV with image files."
        ) from None
    if (path / _SPLITS).exists():
        splits = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
        raise DataError(f"{path} holds the splits {', '.join(splits)}; give one of them, such as {path / splits[0]}.")
    try:
        if path.is_dir() and (path / _SAVED).exists():
            rows = datasets.load_from_disk(str(path))
        else:
            files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
            rows = datasets.Dataset.from_parquet([str(file) for file in files])
    except Exception as error:  # pyarrow and datasets each have their own
        reason = " ".join(str(error).split())
        raise DataError(f"The dataset {path} cannot be read: {type(error).__name__}: {reason}.") from None
    columns = list(rows.column_names)
    pictures = [name for name in columns if isinstance(rows.features[name], datasets.Image)]
    image = find_column(path, columns, image_key or next(iter(pictures), None), IMAGE_NAMES, "image_key")
    caption = find_column(path, columns, caption_key, CAPTION_NAMES, "caption_key")
    if image in pictures:
        rows = rows.cast_column(image, datasets.Image(decode=False))
    return ArrowPairs(str(path), rows, image, caption)
