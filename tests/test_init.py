from __future__ import annotations

import subprocess
import sys

import pytest

import pgsclip


def test_import_waits_for_torch_only_when_a_masker_is_asked_for() -> None:
    code = "import sys, pgsclip; print('torch' in sys.modules); pgsclip.masker; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_every_promised_name_is_there_and_no_other() -> None:
    assert all(getattr(pgsclip, name) for name in pgsclip.__all__)
    with pytest.raises(AttributeError, match="module 'pgsclip' has no attribute 'maskr'"):
        _ = pgsclip.maskr
