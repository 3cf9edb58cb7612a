from __future__ import annotations

from dataclasses import replace

import pytest

from pgsclip.config.resolve import resolve
from pgsclip.config.schema import RunConfig
from pgsclip.distributed import World
from pgsclip.errors import ModelError
from pgsclip.training.planning import plan as room
from pgsclip.training.planning.memory import DoesNotFitError
from pgsclip.training.planning.plan import Plan, make_plan, measured
from pgsclip.training.planning.trial_steps import Probed


def plan(*settings: str, world: World | None = None, model: str = "pgsclip-smoke") -> Plan:
    options = {"data.spec": "generated", "optim.steps": 10, "model.name": model}
    return make_plan(resolve(None, options, ["engine.device=cpu", *settings]), world or World())


def vit_flops(
    patches: int, width: int = 768, layers: int = 12, pixels: int = 16 * 16 * 3, all_patches: int = 196
) -> int:
    """Multiplications and additions of a ViT with a class token, by hand: the convolution sees every patch, and in the
    last block all tokens have keys and values and one has the rest."""
    tokens = patches + 1
    block = tokens * 12 * width * width + 2 * tokens * tokens * width
    last = (2 * tokens + 10) * width * width + 2 * tokens * width
    return 2 * (all_patches * pixels * width + (layers - 1) * block + last + width * 512)


def test_a_vit_b_16_costs_what_is_known() -> None:
    """17.6 billion multiply-adds of a forward pass (arXiv 2010.11929's ViT-B/16 at 224 pixels), less ten of the
    twelve products of the last block."""
    half = plan("masker.name=random", "masker.ratio=0.5", model="ViT-B-16")
    assert half.compute.unmasked_image / 3 == pytest.approx(2 * 17.6 * (1 - 10 / 144), rel=0.01)
    assert half.compute.unmasked_image == pytest.approx(3 * vit_flops(196) / 1e9, rel=0.01)
    assert half.compute.image == pytest.approx(3 * vit_flops(98) / 1e9, rel=0.01)
    assert 0.48 < half.compute.image / half.compute.unmasked_image < 0.51
    assert (half.patches, half.kept) == (196, (98, 98))
    assert half.parameters == 149_620_737  # open_clip's own model profile says 149.62 M
    assert half.state_gib == pytest.approx(149_620_737 * 16 / 2**30)


def test_a_range_shows_fewest_and_most_and_counts_the_middle() -> None:
    ranged = plan("masker.name=pgs", "masker.ratio='0.3:0.5'")
    assert ranged.kept == (32, 45)
    low, high = (plan("masker.name=pgs", f"masker.ratio={ratio}").compute.image for ratio in (0.5, 0.3))
    assert low < ranged.compute.image < high
    assert "patches  32 to 45 of 64 per image" in ranged.lines()


def test_lengths() -> None:
    by_epochs = plan("optim.steps=null", "optim.epochs=2.5", "data.samples=1000", "data.batch_size=100")
    assert (by_epochs.steps, by_epochs.samples, by_epochs.epoch_samples) == (25, 2500, 1000)
    assert "samples  2,500 in 25 steps = 2.50 epochs of 1,000" in by_epochs.lines()


@pytest.mark.parametrize(("stage", "bytes_each"), [(0, 16), (1, 4 + 4 + 8 / 4), (2, 4 + 4 / 4 + 8 / 4), (3, 16 / 4)])
def test_zero_divides_the_state_over_processes(stage: int, bytes_each: float) -> None:
    split = plan(f"engine.zero_stage={stage}", world=World(0, 4, 0))
    assert split.state_gib == pytest.approx(split.parameters * bytes_each / 2**30)
    assert split.engine == "deepspeed on cpu, float32, 4 processes"


def test_one_process_holds_everything() -> None:
    alone = plan("engine.zero_stage=3")
    assert alone.state_gib == pytest.approx(alone.parameters * 16 / 2**30)
    assert alone.engine == "torch on cpu, float32, 1 process"


def test_nothing_hidden_costs_all() -> None:
    everything = plan()
    assert everything.compute.image == everything.compute.unmasked_image
    assert any("100% of unmasked" in line for line in everything.lines())


def test_a_model_that_cannot_be_counted_has_a_plan_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise ModelError("The image tower of this model cannot be run without its numbers (so).")

    monkeypatch.setattr(room, "count_flops", refuse)
    lines = plan().lines()
    assert "compute  not counted: The image tower of this model cannot be run without its numbers (so)." in lines
    assert any(line.startswith("memory ") for line in lines)


def test_a_plan_has_what_the_steps_of_each_phase_took(monkeypatch: pytest.MonkeyPatch) -> None:
    probed = Probed(
        steps=3, warm=2, pairs=256, seconds=0.5, waited=0.0, late=0.0, reader_seconds=0.4, workers=2, kept=0.5,
        gflops=1.25, memory_gib=2.5, taken=3, resting=1,
    )  # fmt: skip
    monkeypatch.setattr(room, "probe_apart", lambda config, phase: replace(probed, seconds=0.5 * (phase + 1)))
    config = resolve(None, {"optim.steps": 10}, ["model.name=pgsclip-smoke", "phases=[{steps: 20, lr: 0.1}]"])
    counted = make_plan(config, World())
    assert counted.measured == ()
    plan = measured(counted, config, World())
    assert plan.lines()[: len(counted.lines())] == counted.lines()
    assert "measured on 3 steps after 2 to warm up, of each phase, in processes of their own:" in plan.lines()
    assert "  time     0:25 for 7,680 pairs; evaluations and checkpoints come on top" in plan.lines()


def test_what_cannot_be_measured_says_why_and_the_counted_plan_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(config: RunConfig, phase: int) -> Probed:
        raise DoesNotFitError("A step does not fit.")

    monkeypatch.setattr(room, "probe_apart", full)
    config = resolve(None, {"optim.steps": 10}, ["model.name=pgsclip-smoke"])
    counted = make_plan(config, World())
    assert measured(counted, config, World()).lines() == [*counted.lines(), "measured nothing: A step does not fit."]
    several = measured(counted, config, World(0, 4, 0)).lines()
    assert several[-1].startswith("measured nothing: a plan makes steps in one process, and this run has 4;")
