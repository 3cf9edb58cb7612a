"""The comparison as a picture: object recall of each masker over the ratio, with whiskers."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from pgsclip.charts import Measured, draw_intervals
from pgsclip.mask_quality.comparison import MaskerRow


def plot_recall(rows: Sequence[MaskerRow]) -> Image.Image:
    """Draw one point per masker and ratio, in columns of the ratios."""
    points = [Measured(row.masker, f"ratio {row.ratio}", row.recall) for row in rows]
    return draw_intervals(points, "Object recall: share of the object's patches that stay")
