from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pgsclip.report.galleries import SheetImage
from pgsclip.report.page import build_page
from pgsclip.report.paper import load_paper
from pgsclip.report.runs import read_entries

Run = Callable[..., Path]


class Checker(HTMLParser):
    """Every tag that is opened is closed, in order."""

    VOID = frozenset({"meta", "img", "br", "link", "path", "circle", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def page(run: Run) -> str:
    subjects = read_entries(run("a", masker="pgs")) + read_entries(run("b<&>"))
    subjects[0].galleries.append(
        {
            "dataset": "pairs",
            "text_to_image": [{"query": "<script>", "answers": [{"image": 0, "right": True}]}],
            "image_to_text": [{"image": 0, "answers": [{"text": "a & b", "right": False}]}],
            "images": {"0": "AAAA"},
        }
    )
    return build_page(
        subjects, load_paper(), [[SheetImage("original", b"x", ""), SheetImage("pgs 0.5", b"y", "kept 50%")]]
    )


def test_the_page_is_whole_and_asks_for_nothing(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert all(source.startswith("data:image/jpeg;base64,") for source in checker.sources)
    assert not re.search(r"<script|@import|url\(|https?://(?!www\.w3\.org)", page.replace("github.com", ""))
    assert len(page) < 5 * 2**20


def test_the_page_has_every_part(page: str) -> None:
    for words in (
        "pgsclip train --out a",
        "pgsclip eval all &lt;x&gt;",
        "Seeing What Matters",
        "Zero-shot classification",
        "39.5",
        "Compositionality (SugarCrepe)",  # of which nothing is known: that is said too
        "Not known for any row: replace_obj, replace_att,",
        "other sets",
        "clipart",
        "loss over step",
        "samples per second",
        "patches kept",
        "What the masker keeps",
        "kept 50%",
        "Text to image",
        "Image to text",
        "&lt;script&gt;",
        "a &amp; b",
        "second hand",
        "could not be had",
        "training time, relative to CLIP",
    ):
        assert words in page, words


def test_names_are_escaped(page: str) -> None:
    assert "b&lt;&amp;&gt;" in page
    assert "b<&>" not in page
