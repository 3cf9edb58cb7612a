"""A picture in the terminal: two pixels to a character."""

from __future__ import annotations

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text


def print_image(image: Image.Image, console: Console) -> bool:
    """Print a small copy where the terminal has colours; False where it does not."""
    if not console.is_terminal or console.color_system in (None, "standard", "windows"):
        return False
    width = min(console.width - 1, image.width)
    height = max(2, round(image.height * width / image.width) // 2 * 2)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BOX)
    for top in range(0, height, 2):
        line = Text()
        for left in range(width):
            upper, lower = small.getpixel((left, top)), small.getpixel((left, top + 1))
            line.append("▀", Style(color=_colour(upper), bgcolor=_colour(lower)))
        console.print(line)
    return True


def _colour(pixel: float | tuple[int, ...] | None) -> Color:
    assert isinstance(pixel, tuple)
    return Color.from_rgb(*pixel[:3])
