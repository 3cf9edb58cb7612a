from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from pgsclip.data import clipart
from pgsclip.data.clipart import caption_of, download, make_clipart
from pgsclip.data.shard_writer import ShardOptions
from pgsclip.data.shards import read_shard
from pgsclip.data.source import Raw
from pgsclip.errors import DataError

SVG = """<svg><metadata><rdf:RDF><cc:Work><dc:title>{title}</dc:title><dc:description>{description}</dc:description>
<dc:subject><rdf:Bag><rdf:li>{artist}</rdf:li><rdf:li>red &amp; round</rdf:li>
<rdf:li>red &amp; round</rdf:li></rdf:Bag></dc:subject>
<dc:creator><cc:Agent><dc:title>Ann Artist</dc:title></cc:Agent></dc:creator></cc:Work></rdf:RDF></metadata>
<title>not this</title></svg>"""


def svg(title: str, description: str = "", artist: str = "ann artist") -> bytes:
    return SVG.format(title=title, description=description, artist=artist).encode()


def png(colour: tuple[int, ...], size: tuple[int, int] = (300, 200)) -> bytes:
    content = io.BytesIO()
    Image.new("RGBA", size, colour).save(content, "png")
    return content.getvalue()


def deb(path: Path, files: dict[str, bytes]) -> Path:
    """An `ar` archive as dpkg-deb writes it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./usr/share/openclipart/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("./usr/share/openclipart/png/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "a/ball.png"
        tar.addfile(link)
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    packed = b"!<arch>\n"
    for name, content in parts.items():
        packed += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
        )
    path.write_bytes(packed)
    return path


FILES = {
    "png/a/ball.png": png((200, 0, 0, 255)),
    "svg/a/ball.svg": svg("Ball"),
    "png/ghost.png": png((0, 0, 0, 0), (60, 100)),
    "svg/ghost.svg": svg("", "A ghost", "x"),
    "png/untitled.png": png((0, 0, 9, 255)),
    "svg/untitled.svg": svg(""),
    "png/../../../escape.png": png((0, 0, 0, 255)),
}


def test_packages_become_captioned_drawings_on_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipart, "HOW", ShardOptions(side=64, pad=True))
    pictures = deb(tmp_path / "png.deb", {name: data for name, data in FILES.items() if name.startswith("png")})
    titles = deb(tmp_path / "svg.deb", {name: data for name, data in FILES.items() if name.startswith("svg")})
    out = tmp_path / "made" / "clipart"
    made = make_clipart(out, [pictures, titles], jobs=1)
    assert (made.pairs, made.refused) == (2, {})
    pairs = {
        item.caption: item.picture().convert("RGB")
        for item in read_shard(str(out / "train-00000.tar"))
        if isinstance(item, Raw)
    }
    assert list(pairs) == ["Ball (red & round)", "A ghost (x, red & round)"]
    ball, ghost = pairs.values()
    assert ball.size == ghost.size == (64, 64)
    assert max(abs(a - b) for a, b in zip(ball.getpixel((32, 32)), (200, 0, 0), strict=True)) < 5  # type: ignore[arg-type]
    for pixel in (ball.getpixel((32, 2)), ghost.getpixel((32, 32))):
        assert min(pixel) > 245  # type: ignore[arg-type]
    assert not (out / "drawings").exists()
    assert not list(tmp_path.rglob("escape.png"))


def test_an_unpacked_folder_will_do(tmp_path: Path) -> None:
    for name, content in FILES.items():
        if ".." not in name:
            path = tmp_path / "root" / "usr/share/openclipart" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (tmp_path / "root/usr/share/openclipart/png/link.png").symlink_to("a/ball.png")
    with pytest.raises(DataError, match="--held-out 500 leaves nothing of 2 pairs"):  # two, not three
        make_clipart(tmp_path / "out", [tmp_path / "root"])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (None, "There is no "),
        (b"!<arch>\nshort", "is no Debian package"),
        (b"PK\3\4 a zip", "is no Debian package"),
    ],
)
def test_what_is_no_package_is_a_sentence(tmp_path: Path, write: bytes | None, words: str) -> None:
    if write is not None:
        (tmp_path / "x.deb").write_bytes(write)
    with pytest.raises(DataError, match=words):
        make_clipart(tmp_path / "out", [tmp_path / "x.deb"])


def test_one_package_alone_or_none_says_that_both_are_wanted(tmp_path: Path) -> None:
    alone = deb(tmp_path / "png.deb", {"png/a.png": png((1, 2, 3, 255))})
    for sources in ([alone], []):
        with pytest.raises(DataError, match=r"Give both packages, openclipart-png and openclipart-svg"):
            make_clipart(tmp_path / str(len(sources)), sources)


def test_captions_are_title_and_keywords_without_the_artist() -> None:
    assert caption_of(svg("Two\n words").decode()) == "Two words (red & round)"
    assert caption_of("<svg><dc:title>outside</dc:title></svg>") == ""
    assert caption_of("<metadata><dc:title>alone</dc:title></metadata>") == "alone"


def test_download_asks_apt_and_says_when_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], cwd: Path, **how: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[1:])
        if len(asked) == 3:
            return subprocess.CompletedProcess(command, 100, "", "W: x\nE: Unable to fetch\n")
        (cwd / f"{command[2]}_1_all.deb").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    folder = tmp_path / "packages"
    assert [path.name for path in download(folder)] == ["openclipart-png_1_all.deb", "openclipart-svg_1_all.deb"]
    assert download(folder)
    assert asked == [["download", "openclipart-png"], ["download", "openclipart-svg"]], "nothing is fetched twice"
    with pytest.raises(DataError, match="could not download openclipart-png: E: Unable to fetch"):
        download(tmp_path / "other")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DataError, match=r"needs apt-get, and there is none here\. Get openclipart-png_"):
        download(tmp_path / "third")
