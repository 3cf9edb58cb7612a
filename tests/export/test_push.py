"""The hub is played by a class that keeps what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import pytest

from pgsclip.errors import ConfigError, ModelError
from pgsclip.export.push import push


class Hub:
    """What huggingface_hub.HfApi does, without a network."""

    made: ClassVar[list[tuple[str, bool]]] = []
    files: ClassVar[dict[str, bytes]] = {}
    refusal: ClassVar[Exception | None] = None

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> str:
        assert exist_ok
        self.made.append((repo_id, private))
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
        if self.refusal:
            raise self.refusal
        self.files.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    monkeypatch.setattr(Hub, "made", [])
    monkeypatch.setattr(Hub, "files", {})
    return Hub


@pytest.mark.parametrize("public", [False, True])
def test_the_folder_of_open_clip_arrives_with_its_card(public: bool, run: Path, hub: Any) -> None:
    assert push(str(run), "jane/clip", public=public) == "https://hub/jane/clip"
    assert hub.made == [("jane/clip", not public)]
    assert set(hub.files) == {"open_clip_model.safetensors", "open_clip_config.json", "README.md"}
    card = hub.files["README.md"].decode()
    assert 'create_model_and_transforms("hf-hub:jane/clip")' in card
    assert "local-dir" not in card
    assert not (run / "export").exists()


def test_a_refusal_of_the_hub_is_a_sentence(run: Path, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "refusal", OSError("no space for jane\nmore"))
    with pytest.raises(ModelError, match=r"The hub did not take jane/clip: no space for jane$"):
        push(str(run), "jane/clip")


def test_without_a_login_or_a_name_nothing_is_exported(run: Path, hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"'clip' names no repository; give USER/NAME"):
        push(str(run), "clip")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(ConfigError, match=r"Nobody is logged in .*`hf auth login`, or set HF_TOKEN"):
        push(str(run), "jane/clip")
    assert hub.made == []
