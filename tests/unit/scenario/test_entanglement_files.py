"""What a network file says of memories and pair links, and what it must say itself."""

from __future__ import annotations

from math import exp, expm1
from pathlib import Path

import pytest

from quoit.engine.program import Hop, fidelity_of
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.entanglement import hop_of

BOSTON = (Path(__file__).parents[3] / "examples" / "boston.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "hardware: siv-boston-2024, gate: 0.998, ",
            "hardware: rb-munich-2022, ",
            "rb-munich-2022 does not say gate: give it here",
        ),
        ("siv-boston-2024", "siv-bostn-2024", "did you mean 'siv-boston-2024'"),
        ("success: 0.004, fidelity: 0.97", "fidelity: 0.97", "expected success and fidelity"),
        ("success: 0.004, fidelity: 0.97", "scheme: single-click", "expected hardware, one of"),
        (
            "success: 0.004, fidelity: 0.97",
            "scheme: double-click, hardware: ca-innsbruck-2023",
            "does not say dark_per_window, visibility: use scheme given",
        ),
        (
            "success: 0.004, fidelity: 0.97",
            "scheme: midpoint-source, emission: 0.01",
            "scheme midpoint-source: expected emission, absorption and fidelity",
        ),
        (
            "success: 0.004, fidelity: 0.97",
            "scheme: midpoint-source, hardware: pair-source-nyc-2024",
            "scheme midpoint-source: expected absorption",
        ),
        (
            "success: 0.004, fidelity: 0.97",
            "scheme: sender-receiver, hardware: sr-oxford-2020",
            "sr-oxford-2020 is double-click: expected none, with emission, absorption and fidelity, or sequential",
        ),
        ("success: 0.004, fidelity: 0.97", "scheme: midpoint", "midpoint-source"),
        ("{number: 8, hardware", "{number: 8, programs: 8, hardware", "expected at most 7: one memory is left"),
        (
            "nodes:\n  harvard: {lat: 42.3770, lon: -71.1167, memories: {",
            "domains: [{name: city, prefix: 'urn:qkd:city', stage: 3}]\nnodes:\n  harvard: {memories: {programs: 2, ",
            "programs keep qubits: expected a domain of stage 4, found 3",
        ),
        ("between: [harvard, mit], success", "between: [harvard, mid], success", "no node is called 'mid'"),
    ],
)
def test_nothing_is_made_up(old: str, new: str, complaint: str) -> None:
    with pytest.raises(NetworkFileFaults) as found:
        loads(BOSTON.replace(old, new))
    assert complaint in str(found.value)


def test_a_link_of_published_hardware_is_taken() -> None:
    text = BOSTON.replace("success: 0.004, fidelity: 0.97", "scheme: single-click, hardware: nv-delft-2018")
    assert loads(text).pair_links[0].hardware == "nv-delft-2018"


def hop_with(link: str, length: str = "12 km") -> Hop:
    text = BOSTON.replace("success: 0.004, fidelity: 0.97", link).replace("length: 12 km", f"length: {length}")
    file = loads(text)
    span = file.spans[0]
    return hop_of(file.pair_links[0], span.length_km, span.loss_db)


def test_a_source_in_the_middle_loads_both_memories() -> None:
    hop = hop_with("scheme: midpoint-source, emission: 0.1, absorption: 0.5, fidelity: 0.98")
    arm = 0.5 * 10 ** (-3.6 / 20)
    assert hop.success == pytest.approx(0.1 * arm**2)
    assert fidelity_of(hop.state) == pytest.approx(0.98)
    # From loading to the other memory's word: light over the hop.
    assert (hop.cycle_ns, hop.stored_ns) == (1_000 + hop.light_ns, hop.light_ns)


def test_a_sender_waits_for_the_receivers_word() -> None:
    hop = hop_with("scheme: sender-receiver, emission: 0.6, absorption: 0.5, fidelity: 0.98")
    assert hop.success == pytest.approx(0.3 * 10 ** (-3.6 / 10))
    assert hop.cycle_ns - 1_000 == pytest.approx(2 * hop.light_ns, abs=1)
    assert hop.stored_ns == 2 * hop.light_ns


def test_false_heralds_are_white_noise() -> None:
    clean = "scheme: sender-receiver, emission: 0.6, absorption: 0.05, fidelity: 1.0"
    hop, noisy = hop_with(clean), hop_with(f"{clean}, dark: 0.01")
    assert noisy.success == pytest.approx(hop.success + (1 - hop.success) * 0.01)
    assert fidelity_of(noisy.state) == pytest.approx(1 - 0.75 * (1 - hop.success / noisy.success))


def test_the_source_under_new_york_is_taken_as_far_as_it_was_shown() -> None:
    link = "scheme: midpoint-source, hardware: pair-source-nyc-2024, absorption: 0.3, attempt: 10 us"
    hop = hop_with(link)
    mean = 2e4 * 10e-6
    assert hop.success == pytest.approx(-expm1(-mean) * 0.09)
    genuine = mean * exp(-mean) / -expm1(-mean)  # a second pair in the window is noise
    assert fidelity_of(hop.state) == pytest.approx(0.25 + 0.74 * genuine)
    with pytest.raises(NetworkFileFaults, match="was shown over 34 km"):
        hop_with(link, "35 km")


def test_a_sequential_set_up_is_taken_as_measured() -> None:
    hop = hop_with("scheme: sender-receiver, hardware: siv-boston-2024")
    assert hop.success / hop.cycle_ns * 1e9 == pytest.approx(1.0)
    assert hop.cycle_ns == 2 * hop.light_ns


def test_no_herald_comes_before_light_can() -> None:
    for link in (
        "success: 1.0, fidelity: 0.97, attempt: 0 s",
        "scheme: single-click, hardware: nv-delft-2018",
        "scheme: midpoint-source, emission: 1, absorption: 1, fidelity: 1, attempt: 0 s",
        "scheme: sender-receiver, emission: 1, absorption: 1, fidelity: 1, attempt: 0 s",
    ):
        for length in ("10 m", "12 km", "34 km"):
            hop = hop_with(link, length)
            assert hop.cycle_ns >= hop.stored_ns >= hop.light_ns
