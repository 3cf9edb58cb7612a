"""Sets from clip-benchmark's copies on the Hugging Face hub. Only ever called for --download."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pgsclip.errors import DataError
from pgsclip.evaluation.layouts import MissingSetError, hub_name, locate
from pgsclip.results.suites import Job


def fetch(jobs: Iterable[Job], root: Path, on_message: Callable[[str], None]) -> None:
    """Fetch the missing sets; SugarCrepe's images have no copy there and stay missing.

    Raises:
        DataError: the hub does not give it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    for job in jobs:
        try:
            locate(job, root)
            continue
        except MissingSetError:
            if job.family == "compositionality":
                continue
        name = hub_name(job.dataset)
        splits = ("train", "test") if job.family == "linear-probe" else ("test",)
        on_message(f"fetching {name}")
        try:
            snapshot_download(
                name,
                repo_type="dataset",
                local_dir=root / name.rpartition("/")[2],
                allow_patterns=["*.txt", *(f"{split}/*" for split in splits)],
            )
        except (OSError, HfHubHTTPError, RepositoryNotFoundError) as error:
            reason = str(error).strip().split("\n")[0]
            raise DataError(f"The set {job.dataset} cannot be fetched from {name}: {reason}") from None
