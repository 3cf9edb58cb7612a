from __future__ import annotations

from itertools import islice

import torch

from pgsclip.benchmarks.step_pairs import draw_captions, draw_images, draw_pairs, load_pairs, spread_lengths
from pgsclip.config.schema import ModelConfig
from pgsclip.models.build import build_model

CPU = torch.device("cpu")


def test_captions_have_the_mean_length_that_is_asked_for_and_end_in_the_largest_id() -> None:
    lengths = spread_lengths(400, 77, 20)
    texts = draw_captions(lengths, 77, 1000)
    assert torch.equal(texts.argmax(dim=1) + 1, lengths)
    assert abs(lengths.double().mean() - 20) < 0.5
    assert lengths.min() < 8
    assert lengths.max() > 50
    assert texts.amax(dim=1).eq(999).all()
    for row, length in zip(texts, lengths, strict=True):
        assert row[:length].gt(0).all()
        assert row[length:].eq(0).all()
    assert spread_lengths(3, 8, None).tolist() == [8, 8, 8]


def test_draw_images_differ_and_fill_any_shape() -> None:
    images = draw_images(3, 32, 48)
    assert images.shape == (3, 3, 32, 48)
    assert not torch.equal(images[0], images[1])
    assert abs(float(images.mean())) < 2, "in CLIP's normalisation"


def test_pairs_are_as_training_gets_them() -> None:
    built = build_model(ModelConfig(name="pgsclip-smoke"), seed=0, loss_has_bias=False)
    drawn = draw_pairs(built, 4, 6, CPU)
    first, second = islice(load_pairs(built, "generated", 4, CPU), 2)
    for pairs in (drawn, first, second):
        assert pairs.images.shape == (4, 3, *built.image_tower.image_size)
        assert torch.equal(pairs.texts.argmax(dim=1) + 1, pairs.lengths)
    assert not torch.equal(first.images, second.images)
