from __future__ import annotations

import re
from pathlib import Path

import pytest

from pgsclip.loggers.contract import RunInfo
from pgsclip.testing import check_logger

pytest.importorskip("wandb")
from pgsclip_wandb import WandbLogger, WandbParams


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb's own settings and caches stay out of the home folder."""
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp(name)))


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_logger(WandbLogger, tmp_path)


def test_it_is_offline_unless_asked_and_the_file_has_every_figure(tmp_path: Path) -> None:
    logger = WandbLogger(WandbParams(project="mine"), RunInfo(tmp_path, {"seed": 7}, 0))
    logger.log({"step": 10, "loss": 3.4375, "note": "text", "acc1": float("nan")})
    logger.log({"step": 10, "eval/set/acc1": 0.8125})
    logger.close()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    content = file.read_bytes()
    for name, value in ((b"train/loss", b"3.4375"), (b"eval/set/acc1", b"0.8125"), (b"step", b"10")):
        assert re.search(re.escape(name) + rb".{0,8}" + re.escape(value), content, re.DOTALL), name
    assert b"train/acc1" not in content
    assert b"train/note" not in content
