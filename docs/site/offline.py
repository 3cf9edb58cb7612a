"""Whether a built page loads anything from another host: `python docs/site/offline.py build/site`."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

ELSEWHERE = re.compile(r"^(?:[a-z]+:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?((?:[a-z]+:)?//[^"')\s]+)""", re.IGNORECASE)
# What the theme's script fetches by itself, when a page holds one of these.
FETCHED_BY_THE_THEME = {"mermaid", "glightbox", "arithmatex"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        addresses = [known.get("src", ""), known.get("srcset", "")]
        if tag == "link" and known.get("rel") not in {"canonical", "prev", "next", "alternate"}:
            addresses.append(known.get("href", ""))
        self.loads += [address for address in addresses if ELSEWHERE.match(address)]
        classes = set(known.get("class", "").split())
        self.loads += [f"what the theme fetches for {word!r}" for word in sorted(FETCHED_BY_THE_THEME & classes)]


def loads_from_elsewhere(site: Path) -> list[str]:
    """`FILE loads ADDRESS`, for all pages and style sheets below `site`."""
    found = []
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text())
        found += [f"{path.relative_to(site)} loads {address}" for address in page.loads]
    for path in sorted([*site.rglob("*.css"), *site.rglob("*.html")]):
        found += [f"{path.relative_to(site)} loads {address}" for address in IN_STYLES.findall(path.read_text())]
    return found


if __name__ == "__main__":
    pages = list(Path(sys.argv[1]).rglob("*.html"))
    if not pages:
        raise SystemExit(f"There is no page in {sys.argv[1]}: build the site first.")
    if wrong := loads_from_elsewhere(Path(sys.argv[1])):
        raise SystemExit("\n".join(wrong))
    sys.stdout.write(f"{len(pages)} pages load nothing from other hosts.\n")
