"""Experiments with entanglement that papers report, as far as profiles and closed forms should reach them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from quoit.engine.equipment import measured_hop, measured_pair, single_click_link
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.kernels.machine import PairMachine
from quoit.engine.physics import bell_pairs, fibre, heralding, memories
from quoit.engine.program import Circuit, Decay, Node, pair_of
from quoit.runtime import seeds

NV = PROFILES["nv-delft-2018"]
SIV = PROFILES["siv-boston-2024"]
MUNICH = PROFILES["rb-munich-2022"]


@pytest.mark.parametrize(("alpha", "rate_hz", "fidelity"), [(0.3, 39, 0.60), (0.05, 6, 0.81)])
def test_delft_trades_rate_for_fidelity(alpha: float, rate_hz: float, fidelity: float) -> None:
    """Humphreys et al. 2018, doi:10.1038/s41586-018-0200-5, fig. 3: 39 Hz at 0.60(2) and 6 Hz at 0.81(2).

    Windows: 10 % of the rate, whose duty factor moved from 0.81 to 0.89; one standard deviation of the fidelity.
    """
    link = single_click_link(NV, alpha)
    assert link.rate_hz == pytest.approx(rate_hz, rel=0.1)
    assert link.pair.phi_plus == pytest.approx(fidelity, abs=0.02)


@pytest.mark.parametrize(("alpha", "rate_hz", "fidelity"), [(0.3, 39, 0.60), (0.05, 6, 0.81)])
def test_named_imperfections_leave_five_percent_of_delft_unexplained(
    alpha: float, rate_hz: float, fidelity: float
) -> None:
    """The same figures: without fitted noise and pauses the closed form lies above what was measured, in both.

    Windows: 0.03 to 0.06 of the fidelity; measured rates are 0.8 to 0.9 of those without pauses.
    """
    link = single_click_link(dataclasses.replace(NV, extra_depol=0.0, duty_factor=1.0), alpha)
    assert 0.03 < link.pair.phi_plus - fidelity < 0.06
    assert 0.8 < rate_hz / link.rate_hz < 0.9


def test_one_click_beats_two_by_three_orders_of_magnitude_in_delft() -> None:
    """Humphreys et al. 2018, abstract: against two-photon protocols on the same platform. Window: half an order."""
    assert NV.p_detection is not None
    one = single_click_link(NV, 0.3).p_success
    two = heralding.double_click(NV.p_detection, NV.p_detection).p_success
    assert math.log10(one / two) == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize("loss_db", [3.0, 10.0, 20.0])
def test_one_click_goes_with_transmission_and_two_with_its_square(loss_db: float) -> None:
    """Cabrillo et al. 1999, doi:10.1103/PhysRevA.59.1025; Barrett and Kok 2005, doi:10.1103/PhysRevA.71.060310.

    Weak light, no dark counts. Window: 0.1 %, the chance that both photons arrive.
    """
    near, far = 1e-3, 1e-3 * 10 ** (-loss_db / 10)
    one = [heralding.single_click(0.05, 0.05, eta, eta).p_success for eta in (near, far)]
    two = [heralding.double_click(eta, eta).p_success for eta in (near, far)]
    assert one[1] / one[0] == pytest.approx(far / near, rel=1e-3)
    assert two[1] / two[0] == pytest.approx((far / near) ** 2, rel=1e-3)


def test_determinism_needs_a_link_efficiency_of_0_83() -> None:
    """Humphreys et al. 2018, eq. 2 and below: a mean fidelity beyond 1/2 for link efficiencies above about 0.83."""
    assert heralding.deterministic_delivery_f_max(0.825) < 0.5 < heralding.deterministic_delivery_f_max(0.835)


def test_delft_delivers_entanglement_at_every_tick_of_100_ms() -> None:
    """Humphreys et al. 2018, abstract: fidelity beyond 0.5 at each tick; 39 Hz against decoherence at 5 Hz.

    A pair made after t s decays for the rest of the tick; ticks without a pair deliver white noise. The brightness is
    tuned. Window: 0.50 to 0.60, as the paper's figure 4 has it beyond one half by some hundredths.
    """
    tick_s, decay_hz = 0.1, 5.0

    def delivered(alpha: float) -> float:
        link = single_click_link(NV, alpha)
        r = link.rate_hz
        alive = r / (decay_hz - r) * (math.exp(-r * tick_s) - math.exp(-decay_hz * tick_s))
        return 0.25 + (link.pair.phi_plus - 0.25) * alive

    assert 0.50 < max(delivered(alpha / 100) for alpha in range(5, 41)) < 0.60
    # The bound for perfect pairs of the same rate is far above.
    assert heralding.deterministic_delivery_f_max(39 / decay_hz) == pytest.approx(0.80, abs=0.01)


def test_swapping_at_the_middle_of_three_delft_nodes() -> None:
    """Pompili et al. 2021, doi:10.1126/science.abg1919: 0.587(28) for selected readouts, 0.551(13) for all.

    The carbon memory waits while the second link is tried for up to a quarter of its life, half of that on average,
    which is an assumption. Window: two standard deviations of the selected value, which both the profile's least and
    a better pair fidelity must meet.
    """
    node = PROFILES["nv-three-node-2021"]
    assert node.memory_attempts_1e is not None
    assert node.gate_p2 is not None
    assert node.readout is not None
    assert node.pair_fidelity is not None
    idle = memories.decay_per_attempt(node.memory_attempts_1e / 8, node.memory_attempts_1e)
    for pair_fidelity in (node.pair_fidelity, node.pair_fidelity + 0.02):
        pair = bell_pairs.werner(pair_fidelity)
        swapped = bell_pairs.swap_noisy(bell_pairs.bell_diag_pauli(pair, idle), pair, node.gate_p2, node.readout)
        assert swapped.phi_plus == pytest.approx(0.587, abs=2 * 0.028)
        # Patience costs: without a wait the swapped pair would be better.
        assert bell_pairs.swap_noisy(pair, pair, node.gate_p2, node.readout).phi_plus > swapped.phi_plus


def test_two_cities_are_entangled_and_no_better_than_their_bright_state_allows() -> None:
    """Stolk et al. 2024, doi:10.1126/sciadv.adp6442: 0.534(15) at bright state 0.25, 7.2e-6 a try of 10 us.

    The success probability asks for a detection of 1.44e-5 a photon; with the laboratory's imperfections and dark
    counts of 1.5e-7 a window, which are assumptions, the fidelity comes out above what was found, below 1 - alpha.
    """
    metro = PROFILES["nv-metro-2024"]
    assert metro.p_success is not None
    assert metro.pair_fidelity is not None
    assert metro.pair_fidelity_sigma is not None
    assert NV.visibility is not None
    eta = metro.p_success / (2 * 0.25)
    herald = heralding.single_click(
        0.25, 0.25, eta, eta, 1.5e-7, NV.visibility, NV.phase_rms_rad, NV.p_double_excitation
    )
    assert herald.p_success == pytest.approx(metro.p_success, rel=0.05)
    assert metro.pair_fidelity < herald.fidelity < 0.75
    # Two standard deviations beyond what any classical exchange reaches.
    assert metro.pair_fidelity - 2 * metro.pair_fidelity_sigma > 0.5


def test_munich_needs_84_seconds_of_attempts_a_pair() -> None:
    """van Leent et al. 2022, doi:10.1038/s41586-022-04764-4: 33 km, 1.22e-6 a try at 9.7 kHz; one pair in 208 s.

    Window: 1 % of the raw rate, 1 % of the measured one.
    """
    assert MUNICH.p_success is not None
    assert MUNICH.attempt_s is not None
    raw = heralding.geometric_link(MUNICH.p_success, MUNICH.attempt_s).rate_hz
    assert 1 / raw == pytest.approx(84, rel=0.01)
    assert 1 / (raw * MUNICH.duty_factor) == pytest.approx(208, rel=0.01)


def test_munich_tries_no_faster_than_light_reaches_the_midpoint() -> None:
    """The same paper: the fibre lies on spools, so photons take half of 33 km and the herald a short cut.

    Over a real distance the herald must come back the same way: the twin's attempts are slower, never faster.
    """
    assert MUNICH.attempt_s is not None
    to_the_midpoint = fibre.delay_s(MUNICH.fibre_km / 2)
    assert to_the_midpoint < MUNICH.attempt_s < heralding.attempt_time_s("midpoint_bsm", MUNICH.fibre_km, 0.0)


def _siv_memories(profile: HardwareProfile) -> float:
    """Fidelity seen over the loop: a pair of the link that a network file gets, a wait for the herald, readouts."""
    assert profile.readout is not None
    assert profile.memory_t2_s is not None
    pair = pair_of(measured_hop(profile, profile.fibre_km).state)
    idle = memories.pauli_twirl(fibre.delay_s(profile.fibre_km), math.inf, profile.memory_t2_s)
    waited = bell_pairs.bell_diag_pauli(bell_pairs.BellDiagonal(*pair), idle, idle)
    # Werner weight that correlations of two imperfect readouts show.
    return 0.25 + (waited.phi_plus - 0.25) * (2 * profile.readout - 1) ** 2


def test_boston_memories_keep_0_69_of_0_86() -> None:
    """Knaut et al. 2024, doi:10.1038/s41586-024-07252-z: 0.86(3) in the laboratory, 0.69(7) over 35 km of the city.

    Gates and readouts explain most of it: within two standard deviations without fitted noise. The link as networks
    get it, with the profile's white noise, which is fitted to this number: within half of one.
    """
    assert SIV.pair_fidelity is not None
    without = _siv_memories(dataclasses.replace(SIV, extra_depol=0.0))
    assert 0.69 < without < min(0.69 + 2 * 0.07, SIV.pair_fidelity)
    assert _siv_memories(SIV) == pytest.approx(0.69, abs=0.035)


def test_boston_in_a_network_file_is_no_better_than_over_its_loop() -> None:
    """The same figure: the mean fidelity of pairs that the pair machine delivers over a link of that hardware, in
    memory and before readouts, within half a standard deviation of the published 0.69(7)."""
    hop = measured_hop(SIV, SIV.fibre_km)
    circuit = Circuit((Node(Decay()), Node(Decay())), (hop,), 1, 200)
    machine = PairMachine([circuit], lambda purpose, number: seeds.generator(1, "boston", f"{purpose} {number}"))
    found = machine.run(3_600 * 10**9)
    assert len(found.left_ns) == 200
    assert np.mean((1 + np.sum(found.state, axis=1)) / 4) == pytest.approx(0.69, abs=0.035)


def test_munich_over_33_km_has_0_62() -> None:
    """van Leent et al. 2022, doi:10.1038/s41586-022-04764-4: 0.830(10) over 6 km, 0.622(15) over 33 km."""
    assert bell_pairs.werner(0.83) == measured_pair(MUNICH, 6.0)
    assert measured_pair(MUNICH, MUNICH.fibre_km).phi_plus == pytest.approx(0.622, abs=0.015)


def test_boston_needs_its_nuclear_memories() -> None:
    """The same paper: light takes 171 us through the loop, which electron spins of 78 us do not live to see."""
    assert SIV.communication_t2_s is not None
    assert SIV.pair_fidelity is not None
    idle = memories.pauli_twirl(fibre.delay_s(SIV.fibre_km), math.inf, SIV.communication_t2_s)
    assert bell_pairs.bell_diag_pauli(bell_pairs.werner(SIV.pair_fidelity), idle, idle).phi_plus < 0.5


def test_boston_gates_cannot_distil_boston_pairs() -> None:
    """Numbers of the same paper: two pairs of 0.86 make one of 0.84."""
    assert SIV.pair_fidelity is not None
    assert SIV.gate_p2 is not None
    assert SIV.readout is not None
    distilled = bell_pairs.bbpssw_noisy(SIV.pair_fidelity, SIV.gate_p2, SIV.readout).fidelity
    assert distilled == pytest.approx(0.84, abs=0.005)
    assert distilled < SIV.pair_fidelity


def test_oxford_makes_182_pairs_a_second() -> None:
    """Stephenson et al. 2020, doi:10.1103/PhysRevLett.124.110501: 2.18e-4 a try of 1.2 us. Window: 1 %."""
    oxford = PROFILES["sr-oxford-2020"]
    assert oxford.p_success is not None
    assert oxford.attempt_s is not None
    assert heralding.geometric_link(oxford.p_success, oxford.attempt_s).rate_hz == pytest.approx(182, rel=0.01)


def test_oxford_violates_chsh_and_delft_at_full_rate_does_not() -> None:
    """A white pair violates the inequality above 0.7803; Stephenson et al. 2020 have 0.940, Humphreys et al. 0.60."""
    oxford = PROFILES["sr-oxford-2020"]
    assert oxford.pair_fidelity is not None
    assert bell_pairs.chsh(bell_pairs.werner(oxford.pair_fidelity)) > bell_pairs.CLASSICAL_CHSH
    assert bell_pairs.chsh(single_click_link(NV, 0.3).pair) < bell_pairs.CLASSICAL_CHSH


def test_gates_over_a_pair_are_bounded_by_it() -> None:
    """Main et al. 2025, doi:10.1038/s41586-024-08404-x: pairs of 0.9689 and a remote gate of 0.862(9).

    The closed form has ideal local gates: 0.975, above what was found.
    """
    assert bell_pairs.remote_gate(0.9689).average == pytest.approx(0.975, abs=0.001)
    assert bell_pairs.remote_gate(0.9689).average > 0.862 + 3 * 0.009


@pytest.mark.parametrize("name", list(PROFILES))
def test_profiles_hold_physical_numbers_and_name_their_papers(name: str) -> None:
    profile = PROFILES[name]
    assert profile.name == name
    assert all(part.startswith("doi:10.") for part in profile.source.split(", "))
    assert profile.scheme in ("single_click", "double_click", "sequential", "pair_source")
    numbers = {
        field.name: value
        for field in dataclasses.fields(profile)
        if isinstance(value := getattr(profile, field.name), int | float)
    }
    unbounded = {
        "fibre_km",
        "pair_fibre_km",
        "attempt_s",
        "memory_t2_s",
        "communication_t2_s",
        "memory_attempts_1e",
        "pair_rate_hz",
    }
    for field, value in numbers.items():
        assert value >= 0
        if field not in unbounded:
            assert value <= 1
    # Entangled, or it would not be here.
    if profile.pair_fidelity is not None:
        assert profile.pair_fidelity > 0.5


def test_a_profile_that_lacks_numbers_says_which() -> None:
    with pytest.raises(ValueError, match="sr-oxford-2020 does not say p_detection, dark_per_window, visibility"):
        single_click_link(PROFILES["sr-oxford-2020"], 0.1)
