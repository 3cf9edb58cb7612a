"""Galleries on the page: what maskers keep of a few images, and retrievals with their best answers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from pgsclip.report.runs import ReportEntry


class SheetImage(NamedTuple):
    """One picture of the mask sheet."""

    title: str
    jpeg: bytes
    note: str


def show_mask_sheet(sheet: Sequence[Sequence[SheetImage]]) -> str:
    """Show a row for each image: itself, and what each masker keeps of it."""
    rows = []
    for images in sheet:
        cells = "".join(
            f'<figure><figcaption>{escape(one.title)}</figcaption><img alt="" '
            f'src="data:image/jpeg;base64,{base64.b64encode(one.jpeg).decode("ascii")}">'
            f"<small>{escape(one.note)}</small></figure>"
            for one in images
        )
        rows.append(f'<div class="masks">{cells}</div>')
    return f"<h2>What the masker keeps</h2>{''.join(rows)}" if rows else ""


def show_gallery(entry: ReportEntry, gallery: dict[str, Any]) -> str:
    """Show some retrievals in both directions, the best answers first."""
    images = gallery["images"]

    def show(number: object, right: bool | None) -> str:
        mark = "" if right is None else (" right" if right else " wrong")
        return f'<img class="thumb{mark}" alt="" src="data:image/jpeg;base64,{images.get(str(number), "")}">'

    to_image = "".join(
        f'<figure><figcaption>{escape(one["query"])}</figcaption><div class="row">'
        f"{''.join(show(answer['image'], answer['right']) for answer in one['answers'])}</div></figure>"
        for one in gallery["text_to_image"]
    )
    to_text = "".join(
        f'<figure class="side">{show(one["image"], None)}<ol>'
        f"{''.join(_show_caption(answer) for answer in one['answers'])}</ol></figure>"
        for one in gallery["image_to_text"]
    )
    return (
        f"<h2>Retrieval on {escape(gallery['dataset'])} by {escape(entry.name)}</h2>"
        "<p>Best answers first; green frames and bold captions are right.</p>"
        f'<h3>Text to image</h3><div class="grid">{to_image}</div>'
        f'<h3>Image to text</h3><div class="grid">{to_text}</div>'
    )


def _show_caption(answer: dict[str, Any]) -> str:
    text = escape(answer["text"])
    return f"<li><b>{text}</b></li>" if answer["right"] else f"<li>{text}</li>"
