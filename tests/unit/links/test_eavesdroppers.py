"""What eavesdroppers do to counts, and what they know: against closed forms, and both modes against each other.

Statistical comparisons have a false-alarm probability of 6e-7 each (5 sigma, two-sided).
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.links.bb84 import Bb84Sampler, Optics, link_clicks, rates
from quoit.engine.links.exact import ClickModel, draw_detections
from quoit.engine.links.sampler import Channel
from quoit.engine.physics.attacks import pns_decoy_signature, split_clicks
from quoit.engine.physics.bb84 import wcp_two_detector
from quoit.engine.physics.finite_key import no_decoys
from quoit.engine.world import Tap, TrueLink, TrueSpan, World
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.fabric.links.profile import BUILT_IN, BB84Profile, with_overrides

MU = (0.5, 0.1)
OPTICS = Optics(1e7, MU, (0.7, 0.3), 0.7, 0.7, 0.1, 1e-6, 0.015)


@pytest.mark.parametrize("blocked", [0.0, 0.4, 1.0])
def test_splitting_is_what_the_published_signature_says(blocked: float) -> None:
    """To first order in the gain, which is what the published form keeps."""
    eta, p_d = 0.001, 5e-8
    found = split_clicks(MU, eta, p_d, 0.015, blocked)
    told = pns_decoy_signature(*MU, eta, 2 * p_d, 1 - blocked)
    assert found[1].gain == pytest.approx(told.decoy_gain, rel=2e-3)
    assert found[0].gain == pytest.approx(wcp_two_detector(MU[0], eta, p_d, 0.015).gain, rel=1e-12)
    two = 1 - exp(-MU[0]) * (1 + MU[0])
    assert found[0].known == pytest.approx(two * told.yield_multi / found[0].gain, rel=2e-3)


@given(st.floats(0, 1), st.floats(0.0, 1.0), st.floats(0, 1e-3))
def test_splitting_never_makes_probabilities_that_are_none(blocked: float, eta: float, p_d: float) -> None:
    for row in split_clicks(MU, eta, p_d, 0.02, blocked):
        assert 0 <= row.gain <= 1
        assert 0 <= row.error <= 0.5 + 1e-12
        assert 0 <= row.known <= 1 + 1e-12


def test_what_is_known_of_each_attack() -> None:
    eta = 0.01
    for channel, expected in (
        (Channel(10.0), 0.0),
        (Channel(10.0, intercepted=0.4), 0.2),
        (Channel(10.0, blinded=True), 1.0),
        (Channel(10.0, tapped=0.05), 1 - exp(-MU[0] * 0.05)),
    ):
        assert link_clicks(MU, eta, 1e-7, 0.01, channel)[0].known == pytest.approx(expected)


def test_blinding_changes_no_rate_and_no_error() -> None:
    honest, blinded = rates(OPTICS, Channel(5.0)), rates(OPTICS, Channel(5.0, blinded=True))
    assert blinded.gain == honest.gain
    assert all(b <= h for b, h in zip(blinded.error, honest.error, strict=True))


def test_a_tap_costs_loss_and_its_place_counts() -> None:
    """A coupler of 0.2 dB takes 4.5 % of what comes to it: near the sender of all the light."""
    spans = {"near": TrueSpan("near", 3.0, a="a", b="b"), "far": TrueSpan("far", 3.0, a="b", b="c")}
    world = World(spans, {"link": TrueLink("link", ("near", "far"), source="a")})
    assert world.tapped("link") == 0
    spans["near"].tapped_db = Tap("near", 0.2).loss_db
    assert world.loss_db("link") == pytest.approx(6.2)
    assert world.tapped("link") == pytest.approx(1 - 10**-0.02)
    spans["near"].tapped_db, spans["far"].tapped_db = 0.0, 0.2
    assert world.tapped("link") == pytest.approx((1 - 10**-0.02) * 10**-0.3)


def test_both_modes_show_the_same_splitting() -> None:
    channel, pulses = Channel(5.0, split=1.0), 20_000_000
    counts = Bb84Sampler(OPTICS).draw(channel, pulses / 1e7, 1, np.random.default_rng(1))[0]
    eta = OPTICS.receiver_eta * 10**-0.5
    rows = link_clicks(MU, eta, OPTICS.p_dark, OPTICS.misalignment, channel)
    model = ClickModel(OPTICS.p_intensity, tuple(r.gain for r in rows), tuple(r.error for r in rows))
    rng = np.random.default_rng(2)
    sent, detected = draw_detections(
        pulses, model, p_z_sender=0.7, p_z_receiver=0.7, entropy=lambda n: rng.bytes(n), rng=rng
    )
    same = sent.bases == detected.bases
    for k in range(2):
        mine, theirs = counts[4 * k] + counts[4 * k + 2], int(np.count_nonzero(same & (sent.intensities == k)))
        assert abs(mine - theirs) < 5 * sqrt(mine + theirs)
        known = Bb84Sampler(OPTICS).known(channel, tuple(counts), rng)
    assert known == pytest.approx(sum(counts[4 * k] * rows[k].known for k in range(2)), abs=5 * sqrt(known))


# -- one intensity -------------------------------------------------------------------------------------


def one_intensity(mu: float) -> DecoyBB84:
    changes = {"mu": (mu,), "p_intensity": (1.0,), "finite_key_proof": "no_decoys"}
    profile = with_overrides(BUILT_IN["bb84-gigahertz"], changes)
    assert isinstance(profile, BB84Profile)
    return DecoyBB84(profile)


def test_without_decoys_every_pulse_of_several_photons_counts_as_known() -> None:
    """Where such pulses are as many as clicks, no key is left; a weaker source has some."""
    n, mu = 1e10, 0.05
    several = 1 - exp(-mu) * (1 + mu)
    args = {"eps_sec": 1e-10, "eps_cor": 1e-15, "leak_bits": 0.0}
    critical = no_decoys(mu, n, n * several, n / 5, n * several / 5, 0.0, **args)
    assert critical.ell == 0
    better = no_decoys(mu, n, 4 * n * several, n / 5, 4 * n * several / 5, 0.0, **args)
    assert 0.7 * 3 * n * several < better.ell < 3 * n * several


def test_the_receiver_of_one_intensity_judges_by_the_pulses_it_is_told() -> None:
    protocol = one_intensity(0.05)
    (counts,) = protocol.sampler().draw(Channel(2.0), 10.0, 1, np.random.default_rng(1))
    from quoit.fabric.links.receiver import EMPTY

    verdict = protocol.judge(EMPTY.plus(tuple(map(int, counts)), 10**10))
    assert 0 < verdict.secret_bits < verdict.sifted_bits - verdict.leak_bits
    (far,) = protocol.sampler().draw(Channel(20.0), 10.0, 1, np.random.default_rng(1))
    assert protocol.judge(EMPTY.plus(tuple(map(int, far)), 10**10)).secret_bits == 0
    with pytest.raises(ValueError, match="mode counts"):
        protocol.exact_source()


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_length_of_key_is_never_negative_nor_longer_than_its_clicks(key: int, test: int, errors: int) -> None:
    found = no_decoys(0.05, 1e8, key, 1e7, test, errors, 1e-10, 1e-15, 0.0)
    assert 0 <= found.ell <= key
