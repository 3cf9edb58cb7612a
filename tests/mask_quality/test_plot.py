from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageColor

from pgsclip.mask_quality.comparison import Row
from pgsclip.mask_quality.plot import _COLOURS, plot
from pgsclip.statistics import Interval


def _row(name: str, ratio: str, recall: float, groups: tuple[str, ...] = ("a", "b")) -> Row:
    found = Interval(recall, recall - 0.02, recall + 0.04)
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    half = Interval(0.5, 0.5, 0.5)
    return Row(name, ratio, found, nothing, half, half, half, 0.125, 3.21, dict.fromkeys(groups, found))


@pytest.mark.parametrize("recall", [0.0, 0.5, 0.9])
def test_a_point_stands_as_high_as_its_recall(recall: float) -> None:
    picture = np.asarray(plot([_row("pgs", "0.5", recall), _row("other", "0.5", 0.3), _row("pgs", "0.7", 0.2)]))
    blue = (picture == ImageColor.getrgb(_COLOURS[0])).all(axis=2)[:, 70:400]
    wide = np.flatnonzero(blue.sum(axis=1) >= 10)  # rows of the dot, and the whisker's two ends
    assert abs(wide.mean() - (450 - recall * 400)) < 12
    assert blue.any()
