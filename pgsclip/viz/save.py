"""Picture files, which appear whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from pgsclip.errors import ImageError
from pgsclip.files import atomic_path


def save_picture(picture: Image.Image, path: Path, option: str = "--out", what: str = "sheet", **how: Any) -> None:
    """Write a PNG, or another format that `how` names, whole or not at all.

    Raises:
        ImageError: it cannot be written; `what` is its name and `option` the one to change.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        with atomic_path(path) as temporary:
            picture.save(temporary, **{"format": "PNG", **how})
    except OSError as error:
        why = error.strerror or error
        raise ImageError(f"The {what} cannot be written to {path}: {why}. Give another {option}.") from None
