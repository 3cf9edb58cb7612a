import torch
from pgsclip_template import ContrastMasker, ContrastParams

import pgsclip
from pgsclip.testing import check_masker


def test_it_keeps_the_contract() -> None:
    check_masker(ContrastMasker(ContrastParams()))


def test_the_patch_that_varies_most_is_kept() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[:, :, 16:, :16] = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
    kept = pgsclip.masker("contrast").keep(images, patch_size=16, ratio=0.75)
    assert kept.tolist() == [[2]]
