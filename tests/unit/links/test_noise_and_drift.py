"""What light from outside and slow drift do to the counts of each link protocol. 5 sigma throughout: 6e-7 a check."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.links.bb84 import rates, with_background
from quoit.engine.links.others import MICRO
from quoit.engine.links.sampler import Channel
from quoit.engine.physics.entangled import bbm92_cw
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.fabric.links.bbm92 import BBM92
from quoit.fabric.links.cv import GG02
from quoit.fabric.links.profile import BUILT_IN
from quoit.fabric.links.rated import Rated

LOSS_DB = 5.0


@given(st.floats(0, 0.1), st.floats(0, 5))
def test_background_clicks_are_poissonian_and_halved(p_dark: float, clicks: float) -> None:
    assert with_background(p_dark, clicks) == pytest.approx(1 - (1 - p_dark) * exp(-clicks / 2))


def test_bb84_without_noise_or_drift_is_what_it_was() -> None:
    optics = DecoyBB84(BUILT_IN["bb84-gigahertz"]).optics  # type: ignore[arg-type]
    assert rates(optics, Channel(LOSS_DB)) == rates(optics, Channel(LOSS_DB, noise_hz=0.0, drift=0.0))


def test_bb84_in_the_dark_counts_the_noise_alone() -> None:
    optics = DecoyBB84(BUILT_IN["bb84-gigahertz"]).optics  # type: ignore[arg-type]
    dark = rates(optics, Channel(None, noise_hz=1e7))
    assert dark.error[0] == pytest.approx(0.5)
    # 0.5 ns gates, 25 % detectors behind 2.5 dB: 7e-11 clicks a gate and photon per second; 2 % afterpulses.
    assert dark.gain[0] == pytest.approx(1e7 * 0.5e-9 * 0.25 * 10**-0.25 * 1.02, rel=0.02)


@given(st.floats(0, 1e8), st.floats(1, 1e7))
def test_more_noise_means_more_errors(noise: float, more: float) -> None:
    optics = DecoyBB84(BUILT_IN["bb84-gigahertz"]).optics  # type: ignore[arg-type]
    one, other = (rates(optics, Channel(LOSS_DB, noise_hz=n)) for n in (noise, noise + more))
    assert all(b >= a for a, b in zip(one.error, other.error, strict=True))


@given(st.floats(-0.2, 0.7))
def test_drift_keeps_an_error_rate_a_probability(drift: float) -> None:
    assert 0 <= Channel(0.0, drift=drift).drifted(0.02) <= 0.5


def test_entangled_pairs_meet_noise_as_dark_counts_of_the_receiver() -> None:
    protocol = BBM92(BUILT_IN["bbm92-cw"])  # type: ignore[arg-type]
    p = protocol.profile
    drawn = protocol.sampler().draw(Channel(LOSS_DB, noise_hz=2e6), 1.0, 200, np.random.default_rng(1)).sum(axis=0)
    n, errors = int(drawn[0] + drawn[2]), int(drawn[1] + drawn[3])
    expected = bbm92_cw(
        p.brightness_hz,
        p.eta_sender,
        p.eta_receiver * 10 ** (-LOSS_DB / 10),
        p.dark_sender_hz,
        p.dark_receiver_hz + 2e6 * p.eta_receiver,
        p.coincidence_s,
        p.peak_fwhm_s,
        p.polarisation_error,
    ).qber
    assert abs(errors / n - expected) < 5 * sqrt(expected / n)


def test_a_homodyne_receiver_finds_two_units_for_each_photon_in_its_mode() -> None:
    protocol = GG02(BUILT_IN["cv-metro"])  # type: ignore[arg-type]
    sampler = protocol.sampler()
    p = BUILT_IN["cv-metro"]
    quiet, noisy, drifted = (
        sampler.draw(channel, 1.0, 2_000, np.random.default_rng(2))[:, 3].mean() / MICRO
        for channel in (Channel(LOSS_DB), Channel(LOSS_DB, noise_per_mode=0.01), Channel(LOSS_DB, drift=0.002))
    )
    eta, modulation = p.detector_eta, p.modulation  # type: ignore[union-attr]
    # 1e10 disclosed symbols in all: one sigma of the mean is 1.4e-5.
    assert noisy - quiet == pytest.approx(2 * eta * 0.01, abs=1e-4)
    assert drifted - quiet == pytest.approx(eta * 10 ** (-LOSS_DB / 10) * modulation * 0.002, abs=1e-4)


def test_a_rated_link_has_no_optics_for_noise_to_meet() -> None:
    sampler = Rated(BUILT_IN["rated"]).sampler()  # type: ignore[arg-type]
    one, other = (
        sampler.draw(Channel(LOSS_DB, noise_hz=noise), 1.0, 50, np.random.default_rng(3)) for noise in (0.0, 1e9)
    )
    assert (one == other).all()
