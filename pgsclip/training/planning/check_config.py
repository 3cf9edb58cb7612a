"""Whether a config can be built here, found out without data and without a run."""

from __future__ import annotations

from pgsclip.config.schema import RunConfig
from pgsclip.launchers import read_world
from pgsclip.loggers.registry import check_loggers
from pgsclip.training.assemble import build_task


def check_config(config: RunConfig) -> None:
    """Build model, maskers, losses and loggers, once for each phase of the run, and let go of them again.

    Weights to start from are left out: a tag of open_clip would be fetched from the network.

    Raises:
        PgsclipError: the sentence that the run would stop with.
    """
    check_loggers(config.log.loggers)
    world = read_world()
    model = config.model.model_copy(update={"pretrained": None})
    build_task(config.model_copy(update={"model": model}), world, count_words=False, numbers=False)
    for phase in config.phases:
        given = {"image_size": phase.image_size, "freeze": phase.freeze}
        changed = model.model_copy(update={name: value for name, value in given.items() if value is not None})
        of_phase = config.model_copy(update={"model": changed, "masker": phase.masker})
        build_task(of_phase, world, count_words=False, numbers=False)
