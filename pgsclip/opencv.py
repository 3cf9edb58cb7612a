"""OpenCV, imported when it is first used: `from pgsclip import opencv as cv2`.

The wheel of opencv-python wants two libraries of the system, which slim containers lack. What needs no OpenCV runs
there all the same, and what does says what is missing.
"""

from __future__ import annotations

from typing import Any

from pgsclip.errors import InstallationError


def __getattr__(name: str) -> Any:
    """Return an attribute of cv2.

    Raises:
        InstallationError: OpenCV cannot be imported here.
    """
    try:
        import cv2
    except ImportError as error:
        raise InstallationError(
            f"OpenCV cannot be loaded: {error}. Install the libraries that it wants (Debian: apt install libgl1 "
            f"libglib2.0-0), or `pip uninstall opencv-python` and `pip install opencv-python-headless`, which wants "
            f"none."
        ) from None
    return getattr(cv2, name)
