from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Site = Callable[[str], ModuleType]


@pytest.mark.parametrize(
    ("html", "address"),
    [
        ('<script src="https://a.b/c.js"></script>', "https://a.b/c.js"),
        ('<link rel="stylesheet" href="//a.b/c.css">', "//a.b/c.css"),
        ('<img src="HTTP://a.b/c.png">', "HTTP://a.b/c.png"),
        ('<p style="background: url(https://a.b/c.png)">', "https://a.b/c.png"),
        ('<style>@import "https://a.b/c.css";</style>', "https://a.b/c.css"),
        ('<pre class="mermaid">', "what the theme fetches for 'mermaid'"),
    ],
)
def test_what_comes_from_another_host_is_named(site: Site, tmp_path: Path, html: str, address: str) -> None:
    (tmp_path / "page.html").write_text(html)
    assert site("offline").loads_from_elsewhere(tmp_path) == [f"page.html loads {address}"]


def test_style_sheets_count_and_links_to_follow_do_not(site: Site, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://a.b">x</a><script src="x.js"></script><link rel="canonical" href="https://a.b/">'
        '<img src="data:image/png;base64,AA//AA"><code>url(x)</code>'
    )
    assert site("offline").loads_from_elsewhere(tmp_path) == []
    (tmp_path / "a.css").write_text("a { src: url('https://a.b/f.woff2') } b { background: url(c.png) }")
    assert site("offline").loads_from_elsewhere(tmp_path) == ["a.css loads https://a.b/f.woff2"]
