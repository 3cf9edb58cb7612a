"""The bench as a picture: object recall of each masker over the ratio, with whiskers."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from pgsclip.mask_quality.comparison import Row

_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0")
_INK, _LINE, _PAPER = "#1e1e1e", "#dcdcdc", "#ffffff"
_SIZE = (900, 520)
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 50, 660, 450


def plot(rows: list[Row]) -> Image.Image:
    """One point per masker and ratio in columns of the ratios; the whisker is the 95 % interval."""
    picture = Image.new("RGB", _SIZE, _PAPER)
    pen = ImageDraw.Draw(picture)
    font, title = ImageFont.load_default(14), ImageFont.load_default(18)
    pen.text((_LEFT, 16), "Object recall: share of the object's patches that stay", _INK, title)
    for tick in range(0, 11, 2):
        y = _height(tick / 10)
        pen.line((_LEFT, y, _RIGHT, y), _LINE)
        pen.text((_LEFT - 10, y), f"{tick / 10:.1f}", _INK, font, anchor="rm")
    ratios = list(dict.fromkeys(row.ratio for row in rows))
    maskers = list(dict.fromkeys(row.masker for row in rows))
    width = (_RIGHT - _LEFT) / len(ratios)
    for number, ratio in enumerate(ratios):
        pen.text((_LEFT + (number + 0.5) * width, _BOTTOM + 14), f"ratio {ratio}", _INK, font, anchor="ma")
    for row in rows:
        place = maskers.index(row.masker)
        x = _LEFT + width * (ratios.index(row.ratio) + (place + 1) / (len(maskers) + 1))
        colour = _COLOURS[place % len(_COLOURS)]
        low, high, mean = (_height(value) for value in (row.recall.low, row.recall.high, row.recall.value))
        pen.line((x, low, x, high), colour, 2)
        for end in (low, high):
            pen.line((x - 5, end, x + 5, end), colour, 2)
        pen.ellipse((x - 5, mean - 5, x + 5, mean + 5), colour)
    for place, name in enumerate(maskers):
        y = _TOP + 20 + 26 * place
        pen.ellipse((_RIGHT + 24, y - 5, _RIGHT + 34, y + 5), _COLOURS[place % len(_COLOURS)])
        pen.text((_RIGHT + 44, y), name, _INK, font, anchor="lm")
    return picture


def _height(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)
