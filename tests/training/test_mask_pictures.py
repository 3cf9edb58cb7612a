from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsclip.config.resolve import resolve
from pgsclip.errors import ImageError
from pgsclip.training.mask_pictures import check_mask_images


def test_an_image_that_is_not_there_is_told_before_the_run(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    check_mask_images(resolve(None, {}, [f"log.mask_images=[{tmp_path}/a.png]"]))
    check_mask_images(resolve(None, {}, []))
    with pytest.raises(ImageError, match=f"There is no image {tmp_path}/b.png"):
        check_mask_images(resolve(None, {}, [f"log.mask_images=[{tmp_path}/a.png, {tmp_path}/b.png]"]))
