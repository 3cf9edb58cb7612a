"""A run as a row of phases: the training that `optim` describes, then whatever `phases` lists."""

from __future__ import annotations

from dataclasses import dataclass

from pgsclip.config.schema import RunConfig
from pgsclip.errors import ConfigError


@dataclass(frozen=True)
class Phase:
    """Steps `first` to `end - 1` of a run, and the config that holds for them."""

    number: int
    first: int
    end: int
    config: RunConfig

    @property
    def steps(self) -> int:
        return self.end - self.first


def plan_phases(config: RunConfig, samples: int) -> list[Phase]:
    """Lay out all phases of a run over data with `samples` pairs per epoch.

    Raises:
        ConfigError: a phase has no length.
    """
    main = _steps(config.optim.steps, config.optim.epochs, samples, config)
    if main is None:
        raise ConfigError("The run has no length. Give --steps or --epochs, or a --recipe that sets one of them.")
    lengths = [main]
    configs = [config]
    for number, phase in enumerate(config.phases):
        length = _steps(phase.steps, phase.epochs, samples, config)
        if length is None:
            name = f"phases.{number}"
            raise ConfigError(f"{name} has neither steps nor epochs. Set {name}.steps or {name}.epochs.")
        lengths.append(length)
        lr = config.optim.lr if phase.lr is None else phase.lr
        optim = config.optim.model_copy(update={"lr": lr, "warmup_steps": phase.warmup_steps})
        size = phase.image_size or configs[-1].model.image_size
        freeze = configs[-1].model.freeze if phase.freeze is None else phase.freeze
        model = config.model.model_copy(update={"image_size": size, "freeze": freeze})
        configs.append(config.model_copy(update={"masker": phase.masker, "optim": optim, "model": model}))
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    starts = [0, *ends]
    return [
        Phase(number, first, end, one)
        for number, (first, end, one) in enumerate(zip(starts, ends, configs, strict=False))
    ]


def _steps(steps: int | None, epochs: float | None, samples: int, config: RunConfig) -> int | None:
    """Count the optimiser steps of a phase; None when it has no length."""
    if steps is not None or epochs is None:
        return steps
    return max(1, int(epochs * samples // config.data.pairs_per_step))
