from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import normalize

from pgsclip.data.normalise import Normalise

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5), (2, 6, 3, 4, 5)])
def test_bytes_become_what_torchvision_makes_of_them(shape: tuple[int, ...]) -> None:
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    before = images.clone()
    expected = normalize(images.double().flatten(0, -4) / 255 if len(shape) > 3 else images.double() / 255, MEAN, STD)
    found = Normalise(MEAN, STD)(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double().reshape(expected.shape), expected, atol=2e-6, rtol=0)
    assert torch.equal(images, before)


def test_numbers_stay_and_there_is_no_state() -> None:
    normalise = Normalise(MEAN, STD)
    images = torch.randn(2, 3, 4, 5)
    assert normalise(images) is images
    assert not normalise.state_dict()
    assert normalise.to("meta").scale.device.type == "meta"
