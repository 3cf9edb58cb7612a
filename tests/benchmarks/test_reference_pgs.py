from __future__ import annotations

import numpy as np
import ot
import torch
from torch import Generator

from pgsclip.benchmarks.reference_pgs import _plan, straightforward_pgs
from pgsclip.grid import Grid
from pgsclip.masking.contract import MaskInputs
from pgsclip.masking.maskers.pgs import PgsMasker, PgsParams
from pgsclip.masking.similarity import cosine


def test_its_plan_is_pot_s() -> None:
    similarity = cosine(torch.randn(1, 20, 8, generator=Generator().manual_seed(0)) + 0.3)
    uniform = np.full(20, 1 / 20)
    theirs = ot.sinkhorn(uniform, uniform, -similarity[0].double().numpy(), reg=0.2, stopThr=1e-12, numItermax=9999)
    np.testing.assert_allclose(_plan(similarity)[0].numpy(), theirs, rtol=1e-2)


def test_it_is_the_masker_with_nothing_saved() -> None:
    chance = Generator().manual_seed(1)
    images, patches = torch.randn(2, 3, 48, 64, generator=chance), torch.randn(2, 12, 10, generator=chance)
    whole = PgsMasker(PgsParams(edge_scale=0.0, detail=None, landmarks=None, iterations=200))
    ours, theirs = (
        score(MaskInputs(images, patches, Grid(3, 4, 16), 0.4, Generator().manual_seed(5)))
        for score in (whole, straightforward_pgs)
    )
    torch.testing.assert_close(theirs.keep, ours.keep, rtol=0, atol=2e-2)
