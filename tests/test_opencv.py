from __future__ import annotations

import sys

import cv2
import pytest

from pgsclip import opencv
from pgsclip.errors import InstallationError


def test_its_attributes_are_those_of_cv2() -> None:
    assert opencv.Canny is cv2.Canny
    with pytest.raises(AttributeError):
        _ = opencv.Cany


def test_a_library_that_cannot_be_imported_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InstallationError, match=r"libgl1 libglib2.0-0.*opencv-python-headless"):
        _ = opencv.Canny
