"""The two modes of a link have the same statistics: counts drawn at once, detections drawn one by one.

False-alarm probability of each comparison: 5 sigma, 6e-7; ten comparisons.
"""

from __future__ import annotations

import numpy as np
import pytest

from quoit.engine.links.bb84 import Bb84Sampler
from quoit.engine.links.exact import draw_detections
from quoit.engine.links.sampler import Channel
from quoit.fabric.distill.sifting import Basis, sift_at_receiver, sift_at_sender, tally
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.fabric.links.profile import BUILT_IN, with_overrides

SECONDS = 20
LOSS_DB = 4.0


def exact_counts(protocol: DecoyBB84, intercepted: float) -> list[int]:
    source = protocol.exact_source()
    rng = np.random.default_rng(11)
    totals = np.zeros(8, dtype=np.int64)
    for _ in range(SECONDS):
        sent, detected = draw_detections(
            round(source.source_rate_hz),
            source.clicks(Channel(LOSS_DB)),
            p_z_sender=source.p_z_sender,
            p_z_receiver=source.p_z_receiver,
            entropy=rng.bytes,
            rng=rng,
            intercept_fraction=intercepted,
        )
        keep, mine = sift_at_sender(
            detected.indices,
            detected.bases,
            indices=sent.indices,
            bases=sent.bases,
            intensities=sent.intensities,
            bits=sent.bits,
        )
        theirs = sift_at_receiver(keep, mine.intensities, bases=detected.bases, bits=detected.bits)
        for place, basis in ((0, Basis.Z), (2, Basis.X)):
            found = tally(theirs.bits_in(basis), mine.bits_in(basis), theirs.intensities_in(basis), 2)
            totals[place::4] += found.counts
            totals[place + 1 :: 4] += found.errors
    return totals.tolist()


@pytest.mark.realises("F1")
@pytest.mark.parametrize("intercepted", [0.0, 0.3])
def test_both_modes_count_alike(intercepted: float) -> None:
    profile = with_overrides(
        BUILT_IN["sequence-benchmark"], {"mu": (0.4, 0.1), "p_intensity": (0.6, 0.4), "misalignment": 0.02}
    )
    protocol = DecoyBB84(profile)
    sampler = protocol.sampler()
    assert isinstance(sampler, Bb84Sampler)
    drawn = sampler.draw(Channel(LOSS_DB, intercepted), 1.0, SECONDS, np.random.default_rng(12)).sum(axis=0)
    for counts, exact in zip(drawn[:8].tolist(), exact_counts(protocol, intercepted), strict=True):
        assert abs(counts - exact) < 5 * (counts + exact) ** 0.5
