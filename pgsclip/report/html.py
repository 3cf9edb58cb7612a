"""The frame of a page: a document that needs nothing else, and cards beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from pgsclip.report.style import STYLE


def wrap_page(title: str, body: str) -> str:
    """Wrap a body into a whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def wrap_cards(parts: Iterable[str], title: str = "") -> str:
    """Wrap each part that is not empty into a card, under a title; nothing when there is none."""
    cards = "".join(f'<div class="card">{part}</div>' for part in parts if part)
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f'{heading}<div class="grid">{cards}</div>' if cards else ""


def write_note(text: str) -> str:
    """Write a small line; nothing for an empty text."""
    return f'<p class="small">{escape(text)}</p>' if text else ""
