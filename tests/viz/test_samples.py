from __future__ import annotations

import pytest

from pgsclip.config.schema import DataConfig
from pgsclip.data.generated import HELD_OUT, scene
from pgsclip.errors import DataError
from pgsclip.viz.pictures import PATCH, SIDE
from pgsclip.viz.samples import read_samples


def test_images_that_are_not_trained_on_come_first() -> None:
    found = read_samples(DataConfig(), 3)
    assert [picture.name for picture in found] == ["00000000", "00000001", "00000002"]
    expected = scene(HELD_OUT, 0).image.mean()
    assert abs(float(sum(found[0].image.resize((1, 1)).getpixel((0, 0)))) / 3 - expected) < 12  # type: ignore[arg-type]
    assert found[0].image.size == (SIDE, SIDE)
    assert found[0].grid.side == PATCH


def test_data_that_is_gone_is_a_sentence() -> None:
    with pytest.raises(DataError, match="No file matches"):
        read_samples(DataConfig(spec="gone/{0..2}.tar"))
