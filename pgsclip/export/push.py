"""Push a checkpoint to the Hugging Face hub, in open_clip's format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from pgsclip.errors import ConfigError, ModelError
from pgsclip.export.export import export
from pgsclip.models.source import HUB

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def push(
    given: str, repository: str, *, public: bool = False, on_message: Callable[[str], None] = lambda _: None
) -> str:
    """Export and upload a checkpoint.

    Args:
        given: anything that `pgsclip eval` takes, as long as it is on this machine.
        repository: `USER/NAME`; one that is there already gets a new commit and keeps who may see it.
        public: let everybody see a new repository; it is private otherwise.
        on_message: as in `export`.

    Returns:
        The address of the repository.

    Raises:
        ConfigError: no name of a repository, or nobody is logged in.
        ModelError: the hub refuses.
    """
    if not _NAME.fullmatch(repository):
        raise ConfigError(f"{repository!r} names no repository; give USER/NAME, such as jane/clip-pgs-0.5.")
    if huggingface_hub.get_token() is None:
        raise ConfigError(
            "Nobody is logged in to the Hugging Face hub on this machine. Log in with `hf auth login`, or set HF_TOKEN "
            "to a token with write access; `pgsclip export --to open_clip` writes the same folder without the hub."
        )
    hub: Any = huggingface_hub.HfApi()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        export(given, "open_clip", folder, place=f"{HUB}{repository}", on_message=on_message)
        try:
            address = hub.create_repo(repository, private=not public, exist_ok=True)
            hub.upload_folder(repo_id=repository, folder_path=str(folder), commit_message="Upload by pgsclip")
        except (HfHubHTTPError, OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ModelError(f"The hub did not take {repository}: {reason}") from None
    return str(address)
