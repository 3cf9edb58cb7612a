"""The grid of patches that an image is cut into."""

from __future__ import annotations

from typing import NamedTuple


class Grid(NamedTuple):
    """Rows and columns of square patches of `side` pixels."""

    rows: int
    columns: int
    side: int

    @property
    def patches(self) -> int:
        """Patches of one image: rows times columns."""
        return self.rows * self.columns
