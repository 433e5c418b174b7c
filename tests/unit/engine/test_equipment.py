"""From hardware to nodes and links: one piece, whoever describes them."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from quoit.engine.equipment import (
    SCHEMES,
    Heralded,
    Silent,
    clicks,
    measured_hop,
    measured_pair,
    node_model,
    single_click_link,
    timed_hop,
)
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.physics.bell_pairs import swap_noisy, werner
from quoit.engine.physics.fibre import delay_s
from quoit.engine.program import Decay, ProgramFault, fidelity_of, werner_state

NV, METRO = PROFILES["nv-delft-2018"], PROFILES["nv-metro-2024"]


def test_without_hardware_what_is_not_said_has_no_fault() -> None:
    model = node_model(None)
    assert (model.t1_s, model.t2_s, model.gate, model.readout, model.attempt_loss) == (inf, inf, 1.0, 1.0, 0.0)
    assert model.decay == Decay()
    assert model.memory.keeps
    assert node_model(None, t1_s=2.0).t2_s == 4.0


def test_of_hardware_nothing_is_made_up() -> None:
    with pytest.raises(Silent, match="profile nv-metro-2024 does not say t2, gate, readout") as found:
        node_model(METRO)
    assert found.value.missing == ("t2", "gate", "readout")
    assert node_model(METRO, t2_s=1.0, gate=0.9, readout=0.9).t2_s == 1.0
    with pytest.raises(ProgramFault):
        node_model(NV, t1_s=0.1, t2_s=1.0)


def test_machine_and_ledger_see_the_same_memory() -> None:
    model = node_model(PROFILES["nv-three-node-2021"], t1_s=3.0, t2_s=0.5)
    decay = model.decay
    assert model.memory.rates_hz == pytest.approx((decay.x_hz, decay.y_hz, decay.z_hz))
    assert model.memory.decay_per_attempt == model.attempt_loss == 1 / 1800


def test_a_swap_costs_what_the_physics_says() -> None:
    model = node_model(NV)
    swapped = swap_noisy(werner(0.9), werner(0.8), model.gate, model.readout)
    state = [e * f * model.swap_noise for e, f in zip(werner_state(0.9), werner_state(0.8), strict=True)]
    assert (1 + sum(state)) / 4 == pytest.approx(swapped.phi_plus)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fibre_km", [0.0, 0.01, 40.0])
def test_heralds_come_no_sooner_than_light(scheme: str, fibre_km: float) -> None:
    hop = timed_hop(scheme, fibre_km, 0.0, Heralded(1.0, werner(1.0)))
    assert hop.cycle_ns >= hop.stored_ns == SCHEMES[scheme].crossings * hop.light_ns
    assert hop.light_ns == round(delay_s(fibre_km) * 1e9)


def test_a_share_of_time_stretches_attempts_and_keeps_the_rate() -> None:
    found = clicks(NV, "single_click", 0.0, 0.1)
    hop = timed_hop("single_click", NV.fibre_km, NV.attempt_s or 0.0, found, NV.duty_factor)
    near = single_click_link(NV, 0.1)
    assert hop.success == near.p_success
    assert hop.success / hop.cycle_ns * 1e9 == pytest.approx(near.rate_hz, rel=3e-3)


def test_conversion_counts_wherever_a_profile_has_it() -> None:
    converted = clicks(replace(NV, conversion=0.5), "double_click", 0.0)
    assert converted.p_success == pytest.approx(clicks(NV, "double_click", 20 * 0.30103).p_success, rel=1e-5)


def test_what_was_measured_is_not_stretched() -> None:
    hop = measured_hop(METRO, 25)
    assert (hop.success, hop.stored_ns) == (7.2e-6, 0)
    assert hop.cycle_ns == hop.light_ns  # not the 10 us between attempts: nobody hears of one before light does
    assert fidelity_of(hop.state) == pytest.approx(0.534)
    with pytest.raises(ValueError, match="was shown over 25 km"):
        measured_hop(METRO, 26)
    with pytest.raises(ValueError, match="below one pair an attempt"):
        measured_hop(PROFILES["siv-boston-2024"], 10, rate_hz=1e6)
    with pytest.raises(ValueError, match="no memory"):
        measured_hop(PROFILES["pair-source-nyc-2024"], 1)
    with pytest.raises(Silent, match="ca-innsbruck-2023 does not say rate"):
        measured_hop(PROFILES["ca-innsbruck-2023"], 0.1)


WHOLE = [p for p in PROFILES.values() if p.scheme in SCHEMES and p.pair_rate_hz and p.pair_fidelity]


@pytest.mark.parametrize("profile", WHOLE, ids=lambda profile: profile.name)
def test_measured_rates_come_out_as_published(profile: HardwareProfile) -> None:
    hop = measured_hop(profile, profile.fibre_km)
    assert hop.success / hop.cycle_ns * 1e9 == pytest.approx(profile.pair_rate_hz)
    if profile.pair_fibre_km is None:
        assert fidelity_of(hop.state) == pytest.approx(profile.pair_fidelity)
    else:  # measured over less fibre than that
        assert fidelity_of(hop.state) < (profile.pair_fidelity or 0)


def test_a_fidelity_is_never_taken_farther_than_it_was_measured() -> None:
    """Every profile that says over which fibre its fidelity was: beyond it there is more noise, and beyond all of it
    nothing."""
    for profile in PROFILES.values():
        if profile.pair_fibre_km is not None:
            assert profile.pair_fibre_km < profile.fibre_km
            near, far = (measured_pair(profile, km) for km in (profile.pair_fibre_km, profile.pair_fibre_km * 1.01))
            assert far.phi_plus < near.phi_plus <= (profile.pair_fidelity or 0)
            assert far == measured_pair(profile, profile.fibre_km)


def test_moving_halves_to_memory_is_counted_once() -> None:
    siv = PROFILES["siv-boston-2024"]
    assert siv.gate_p2 is not None
    moved = fidelity_of(measured_hop(siv, 35).state)
    assert moved == pytest.approx(
        0.25 + (fidelity_of(measured_hop(siv, 35, stored=False).state) - 0.25) * siv.gate_p2**2
    )
    assert fidelity_of(measured_hop(siv, 35, fidelity=0.9).state) == pytest.approx(0.9)
