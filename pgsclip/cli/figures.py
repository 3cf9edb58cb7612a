"""The file that `--json` asks for: figures of a command, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pgsclip.errors import RunError
from pgsclip.files import write_atomically


def write_figures(path: Path, figures: Any) -> None:
    """Write figures as JSON, whole or not at all; dataclasses become objects with their fields.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        write_atomically(path, json.dumps(figures, indent=2, default=asdict) + "\n")
    except OSError as error:
        raise RunError(f"The figures cannot be written to {path}: {error.strerror}.") from None
