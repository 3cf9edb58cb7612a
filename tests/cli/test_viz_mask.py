from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsclip.cli.app import main
from pgsclip.config.resolve import to_yaml
from pgsclip.config.schema import ModelConfig, RunConfig
from pgsclip.models.build import build_model
from pgsclip.models.checksums import write_checksums
from pgsclip.models.weights import save_state_dict


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["viz-mask", *map(str, words)])
    code = stopped.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def _refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one sentence on stderr of a command that ends with 2."""
    assert _run(*words) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert said.out == ""
    return said.err


def test_a_sheet_is_written_and_named(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    assert _run(photo, "--image-size", 48, "--out", out) == 0
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
        assert capsys.readouterr().out == f"{out}  ({sheet.width} x {sheet.height} pixels)\n"
        assert sheet.width > 5 * 64, "original and four maskers"


def test_the_same_command_draws_the_same_sheet_and_another_seed_another(photo: Path, tmp_path: Path) -> None:
    sheets = []
    for seed in (1, 1, 2):
        assert _run(photo, "--image-size", 48, "--seed", seed, "--out", tmp_path / "s.png") == 0
        sheets.append((tmp_path / "s.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ((), ["random 0.5", "cluster 0.5", "pgs 0.5", "pgs 0.3:0.5", "salient 0.5"]),
        (("--ratio", "0.7"), ["random 0.7", "cluster 0.7", "pgs 0.7", "salient 0.7"]),
        (("--masker", "pgs", "--masker", "centered"), ["pgs 0.5", "centered 0.5"]),
        (("--masker", "pgs", "--masker", "random", "--ratio", "0.3"), ["pgs 0.3", "random 0.3"]),
        (
            ("--masker", "pgs", "--ratio", "0.3:0.5", "--masker", "random", "--ratio", "0.4"),
            ["pgs 0.3:0.5", "random 0.4"],
        ),
        (("--masker", "none", "--masker", "pgs", "--ratio", "0.4"), ["none 0", "pgs 0.4"]),
        (
            ("--masker", "pgs", "--explain"),
            ["pgs 0.5", *(f"pgs: {part}" for part in ("edges", "candidates", "similarity", "transport", "score"))],
        ),
        (("--masker", "pgs edges=false", "--ratio", "0.3"), ["pgs edges=false 0.3"]),
        (("--seeds", "3", "--masker", "salient"), ["salient 0.5"]),
        (("--over-progress", "--masker", "pgs"), ["pgs 0.5"] * 6),
    ],
)
def test_maskers_and_ratios_pair_up(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], titles: list[str]
) -> None:
    from pgsclip.viz import sheet

    drawn: list[list[str]] = []

    def note_titles(rows: list[list[sheet.Panel]]) -> Image.Image:
        drawn.extend([panel.title for panel in row] for row in rows)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(sheet, "compose", note_titles)
    assert _run(photo, photo, "--image-size", 48, "--out", tmp_path / "s.png", *words) == 0
    assert drawn == [["original", *titles]] * 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--masker", "pgz"), "pgsclip: Unknown masker 'pgz'. Did you mean 'pgs'?"),
        (("--ratio", "half"), "pgsclip: --ratio: 'half' is not a ratio; give a share in [0, 1)"),
        (("--ratio", "0.5", "--ratio", "0.3"), "pgsclip: 2 ratios do not pair up with 4 maskers: give one --ratio"),
        (
            ("--masker", "pgs", "--ratio", "0.5", "--ratio", "0.3"),
            "pgsclip: 2 ratios do not pair up with 1 maskers",
        ),
        (
            ("--masker", "random", "--ratio", "0.3:0.5"),
            "pgsclip: The masker 'random' does not choose a ratio per image",
        ),
        (("--image-size", "8"), "pgsclip: An image side of 8 pixels holds no patch of 16"),
    ],
)
def test_wrong_options_end_in_one_sentence(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    said = _refused(capsys, photo, "--out", tmp_path / "s.png", *words)
    assert said.startswith(sentence)
    assert said.count("\n") == 1
    assert not (tmp_path / "s.png").exists()


def test_wrong_images_end_in_one_sentence(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    out = tmp_path / "s.png"
    for path, words in [
        (tmp_path / "absent.jpg", f"pgsclip: There is no image {tmp_path / 'absent.jpg'}.\n"),
        (tmp_path, f"pgsclip: {tmp_path} is a folder; name its images"),
        (tmp_path / "notes.txt", f"pgsclip: {tmp_path / 'notes.txt'} is not an image that can be read"),
    ]:
        assert _refused(capsys, photo, path, "--out", out).startswith(words)
        assert not out.exists()


def test_a_place_that_cannot_be_written_ends_in_one_sentence(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out, why in [(tmp_path / "no" / "s.png", "No such file or directory"), (tmp_path, "Is a directory")]:
        said = _refused(capsys, photo, "--image-size", 32, "--out", out)
        assert said == f"pgsclip: The sheet cannot be written to {out}: {why}. Give another --out.\n"


def test_the_sheet_does_not_replace_the_photograph(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = photo.read_bytes()
    monkeypatch.chdir(photo.parent)
    said = _refused(capsys, photo, "--out", photo.name)
    assert re.search(r"overwrite the image photo\.png.* another --out", said)
    assert photo.read_bytes() == before


def test_no_image_at_all_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Missing argument" in _refused(capsys)


def test_a_name_that_is_no_text_is_drawn(tmp_path: Path, photo: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux has such names")
    odd = tmp_path / b"caf\xe9\n.png".decode("utf-8", "surrogateescape")
    odd.write_bytes(photo.read_bytes())
    assert _run(odd, "--image-size", 48, "--out", tmp_path / "s.png") == 0


def test_a_gif_goes_from_the_start_of_training_to_its_end(photo: Path, tmp_path: Path, run_folder: Path) -> None:
    out = tmp_path / "masks.gif"
    assert _run(photo, "--checkpoint", run_folder, "--over-progress", "--masker", "cluster", "--out", out) == 0
    with Image.open(out) as film:
        assert (film.format, film.n_frames) == ("GIF", 21)
        first = np.asarray(film.convert("RGB"))
        film.seek(20)
        assert not np.array_equal(first, np.asarray(film.convert("RGB")))


def test_a_checkpoint_brings_its_size_and_its_embeddings(photo: Path, tmp_path: Path, run_folder: Path) -> None:
    sheets = []
    for words in (("--progress", "0"), ("--progress", "1")):
        command = (photo, "--checkpoint", run_folder, "--masker", "cluster", *words, "--out", tmp_path / "s.png")
        assert _run(*command) == 0
        sheets.append((tmp_path / "s.png").read_bytes())
    assert sheets[0] != sheets[1]
    weights = next(run_folder.rglob("*.safetensors"))
    assert (
        _run(photo, "--checkpoint", weights, "--masker", "cluster", "--progress", "1", "--out", tmp_path / "s.png") == 0
    )
    assert (tmp_path / "s.png").read_bytes() == sheets[1]


@pytest.fixture(scope="session")
def run_folder(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as `train` leaves it, as far as drawing looks at it."""
    built = build_model(ModelConfig(name=model), seed=3, loss_has_bias=False)
    folder = tmp_path_factory.mktemp("runs") / "run"
    (folder / "checkpoints" / "step-00000002").mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(RunConfig(model=ModelConfig(name=model))))
    save_state_dict(built.model.state_dict(), folder / "checkpoints" / "step-00000002" / "open_clip_model.safetensors")
    write_checksums(folder / "checkpoints" / "step-00000002")
    return folder


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--explain", "--seeds", "3"), r"--explain, --seeds and --over-progress .* Give one"),
        (("--out", "a.gif"), r"only with --over-progress.* \.png .*a\.gif"),
        (("--model", "ViT-B-16"), r"--model .* a --checkpoint.* leave --model out"),
        (
            ("--checkpoint", "nowhere"),
            "There is no checkpoint in nowhere: expected a run folder with checkpoints/step-",
        ),
        (
            ("--checkpoint", "nowhere", "--patch-size", "8"),
            r"Leave --image-size and --patch-size out",
        ),
        (("--seeds", "1"), "Invalid value for '--seeds'"),
        (("--progress", "2"), "Invalid value for '--progress'"),
    ],
)
def test_sheets_that_cannot_be_are_sentences(
    photo: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert re.search(sentence, _refused(capsys, photo, *words))


def test_progress_without_a_model_says_that_it_changes_little(photo: Path, tmp_path: Path, capsys: Any) -> None:
    assert _run(photo, "--over-progress", "--masker", "pgs", "--out", tmp_path / "s.png") == 0
    assert "without --checkpoint raw pixels stand in" in capsys.readouterr().err
