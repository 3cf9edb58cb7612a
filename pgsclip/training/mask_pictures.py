"""The same few images at every checkpoint, as the masker hides them then: `masks/step-00000100.png` in the run."""

from __future__ import annotations

from pathlib import Path

from pgsclip.config.schema import RunConfig
from pgsclip.masking.masker_api import MaskerHandle
from pgsclip.masking.registry import build_masker
from pgsclip.viz.embeddings import open_embedder
from pgsclip.viz.explain import MaskerColumn, draw_row
from pgsclip.viz.pictures import read_image
from pgsclip.viz.save import save_picture
from pgsclip.viz.sheet import compose, enlarge


def check_mask_images(config: RunConfig) -> None:
    """Every image of `log.mask_images` can be read, found out before the run and not at its first checkpoint.

    Raises:
        ImageError: one cannot.
    """
    for name in config.log.mask_images:
        read_image(Path(name))


def draw_masks(config: RunConfig, checkpoint: Path, out: Path, progress: float) -> None:
    """Original and mask of each image, from the weights of a checkpoint; the seed stays, so that training shows.

    The model is read back from the checkpoint: engines that split weights over processes need no special way.
    """
    masker = MaskerHandle(config.masker.name, build_masker(config.masker.name, config.masker.params))
    columns = [MaskerColumn(masker, config.masker.ratio)]
    embedder = open_embedder(checkpoint, config.model)
    embedder.start(masker)
    rows = []
    for name in config.log.mask_images:
        rows.append(draw_row(embedder.open(Path(name)), columns, seed=config.seed, explain=False, progress=progress))
    out.parent.mkdir(exist_ok=True)
    save_picture(compose(enlarge(rows)), out)
