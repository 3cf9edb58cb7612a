"""Pictures appear whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from pgsclip.errors import ImageError


def save_picture(picture: Image.Image, path: Path, option: str = "--out", what: str = "sheet", **how: Any) -> None:
    """Write a PNG, or what else `how` says, under a temporary name and rename it.

    Raises:
        ImageError: it cannot be written; `what` is its name and `option` the one to change.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        picture.save(temporary, **{"format": "PNG", **how})
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = error.strerror or error
        raise ImageError(f"The {what} cannot be written to {path}: {why}. Give another {option}.") from None
