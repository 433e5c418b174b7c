"""A chain from a sweep file: probabilities, times and states that closed forms give, and nothing better."""

from __future__ import annotations

from math import exp, sqrt
from typing import Any

import pytest

from quoit.engine.equipment import single_click_link
from quoit.engine.hardware import PROFILES
from quoit.engine.kernels.machine import PairMachine
from quoit.engine.physics.bell_pairs import BellDiagonal, bell_diagonal_key, swap_noisy, werner
from quoit.engine.physics.fibre import delay_s
from quoit.engine.program import fidelity_of, pair_of, state_of
from quoit.scenario.sweep import chain
from quoit.scenario.sweep.schema import Chain

NUMBERS = {"success": 0.05, "fidelity": 0.95, "attempt": "10 us"}
DEVICES = {"scheme": "double_click", "p_detection": 0.2, "dark_per_window": 1e-7, "visibility": 0.9, "attempt": "10 us"}


def a_chain(**given: Any) -> Chain:
    usual = {"length": "20 km", "attenuation": "0.2 dB/km", "hardware": NUMBERS, "t2": "1000 s"}
    ends = {} if "until" in given else {"pairs": 200}
    return Chain.model_validate(usual | ends | given)


@pytest.mark.parametrize("pair", [BellDiagonal(0.9, 0.06, 0.03, 0.01), BellDiagonal(0.25, 0.25, 0.25, 0.25)])
def test_eigenvalues_and_back(pair: BellDiagonal) -> None:
    assert pair_of(state_of(pair)) == pytest.approx(pair, abs=1e-15)
    assert fidelity_of(state_of(pair)) == pytest.approx(pair.phi_plus)


def test_a_hop_without_fibre_is_the_published_link() -> None:
    profile = PROFILES["nv-delft-2018"]
    found = chain.circuit(a_chain(length="0 km", hardware={"profile": profile.name, "bright": 0.1}, t2=None)).hops[0]
    link = single_click_link(profile, 0.1)
    assert found.success == pytest.approx(link.p_success)
    assert found.state == pytest.approx(state_of(link.pair))
    assert found.success / found.cycle_ns * 1e9 == pytest.approx(link.rate_hz, rel=1e-3)


def test_fibre_takes_photons_and_time() -> None:
    near, far = (chain.circuit(a_chain(length=f"{km} km", hardware=DEVICES)).hops[0] for km in (10, 60))
    # One photon of each node goes half the way: both together lose what the hop loses.
    assert far.success / near.success == pytest.approx(10 ** (-0.2 * 50 / 10), rel=1e-3)
    assert far.cycle_ns - near.cycle_ns == pytest.approx(delay_s(50) * 1e9, abs=2)
    assert (far.light_ns, far.stored_ns) == (round(delay_s(60) * 1e9),) * 2
    assert fidelity_of(far.state) < fidelity_of(near.state)


def test_a_measured_profile_is_not_stretched() -> None:
    measured = {"hardware": "nv-metro-2024", "t2": "1 s"}
    hop = chain.circuit(a_chain(length="25 km", **measured)).hops[0]
    assert (hop.success, fidelity_of(hop.state)) == (7.2e-6, pytest.approx(0.534))
    with pytest.raises(ValueError, match="shown over 25 km"):
        chain.circuit(a_chain(length="26 km", **measured))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"hardware": "nv-delft-2018"}, "does not say bright"),
        ({"hardware": {**DEVICES, "visibility": None}}, "hardware does not say visibility"),
        ({"hardware": {"success": 0.1, "fidelity": 0.9}}, "hardware does not say attempt"),
        ({"hardware": "pair-source-nyc-2024"}, "has no memory to keep pairs in"),
        ({"hardware": "nv-three-node-2021", "length": "30 m", "t2": None}, "t2: profile nv-three-node-2021"),
        ({"hardware": "nv-metro-2024", "hops": 2}, "swap: profile nv-metro-2024 does not say gate, readout"),
        ({"t2": None}, "t2: missing"),
        ({"t1": "1 s"}, "T2 <= 2 T1"),
        ({"hardware": DEVICES, "length": "2000 km"}, "shorten it"),
    ],
)
def test_what_is_missing_is_told(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        chain.circuit(a_chain(**given))


def test_tries_beside_a_memory_cost_its_coherence() -> None:
    nodes = chain.circuit(a_chain(hardware="nv-three-node-2021", length="30 m", hops=2)).nodes
    assert [node.attempt_loss for node in nodes] == pytest.approx([1 / 1800] * 3)
    assert [node.decay.x_hz for node in nodes] == pytest.approx([1e-3] * 3)


def test_without_decay_two_hops_have_the_fidelity_of_one_swap() -> None:
    found = chain.run(a_chain(hops=2, swap={"gate": 0.97, "readout": 0.99}, t2="1000000 s"), 1)
    expected = swap_noisy(werner(0.95), werner(0.95), 0.97, 0.99)
    assert found["fidelity"] == pytest.approx(expected.phi_plus, abs=1e-6)
    white, real = bell_diagonal_key(werner(expected.phi_plus)).bb84, bell_diagonal_key(expected).bb84
    assert found["secret_bps"] == pytest.approx((found["rate_hz"] or 0) * white, rel=1e-3)
    assert white < real  # wrong readouts as white noise: never more key than there is
    assert found["delivered"] == 200
    assert (found["swaps"], found["expired"]) == (200, 0)


def test_one_hop_delivers_at_its_rate_and_pairs_pay_for_their_way() -> None:
    """Geometric waits, and a word from the other end before each. 4 sigma: false alarm once in 16,000."""
    one = a_chain(until="20 s", t2="1 ms")
    found, light_s = chain.run(one, 3), delay_s(20)
    mean = (10e-6 + light_s) / 0.05 + light_s
    count = found["delivered"]
    assert count is not None
    assert abs(count - 20 / mean) < 4 * sqrt(20 / mean)
    w = (4 * 0.95 - 1) / 3
    waited = 2 * light_s / 1e-3  # both halves, from emission to herald
    assert found["fidelity"] == pytest.approx((1 + w + 2 * w * exp(-waited)) / 4, abs=1e-4)
    assert (found["elapsed_s"], found["rate_hz"]) == (20, count / 20)


def test_a_shorter_cut_off_gives_fewer_and_fresher_pairs() -> None:
    short, long = (chain.run(a_chain(hops=2, t2="20 ms", cutoff=cutoff), 5) for cutoff in ("1 ms", "1 s"))
    assert (short["rate_hz"] or 0) < 0.8 * (long["rate_hz"] or 0)
    assert (short["fidelity"] or 0) > (long["fidelity"] or 0) + 0.02
    assert (short["age_s"] or 0) < (long["age_s"] or 0)
    assert (short["expired"] or 0) > 0 == long["expired"]


def test_a_run_that_delivers_nothing_has_no_fidelity() -> None:
    found = chain.run(a_chain(until="1 ms", hardware={**NUMBERS, "success": 1e-6}), 1)
    assert (found["delivered"], found["rate_hz"], found["secret_bps"]) == (0, 0, 0)
    assert found["fidelity"] is found["age_s"] is None


def test_a_run_that_never_delivers_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MAX_HERALDS", 300)
    with pytest.raises(chain.EndlessRun, match=r"0 of 200 were delivered and .* discarded: give the"):
        chain.run(a_chain(hops=2, cutoff="1 ns", hardware={**NUMBERS, "success": 0.001}), 1)


def test_a_run_begun_anew_in_compiled_code_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = chain.run(a_chain(hops=3), 7), []

    def machine(circuits: Any, rng: Any, compiled: bool) -> PairMachine:
        asked.append(compiled)
        return PairMachine(circuits, rng, compiled=False)

    monkeypatch.setattr(chain, "PairMachine", machine)
    monkeypatch.setattr(chain, "PLAIN_HERALDS", 50)
    monkeypatch.setattr(chain, "can_compile", lambda: True)
    monkeypatch.setattr(chain, "SLICE_NS", 10**6)
    assert chain.run(a_chain(hops=3), 7) == plain
    assert asked == [False, True]
