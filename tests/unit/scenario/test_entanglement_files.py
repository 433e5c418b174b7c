"""What a network file says of memories and pair links, and what it must say itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.scenario.check import NetworkFileFaults, loads

BOSTON = (Path(__file__).parents[3] / "examples" / "boston.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "hardware: siv-boston-2024, gate: 0.998, ",
            "hardware: rb-munich-2022, ",
            "rb-munich-2022 does not say gate_p2",
        ),
        ("siv-boston-2024", "siv-bostn-2024", "did you mean 'siv-boston-2024'"),
        ("success: 0.004, fidelity: 0.97", "fidelity: 0.97", "expected success and fidelity"),
        ("success: 0.004, fidelity: 0.97", "scheme: single-click", "expected hardware, one of"),
        (
            "success: 0.004, fidelity: 0.97",
            "scheme: double-click, hardware: ca-innsbruck-2023",
            "does not say dark_per_window, visibility: use scheme given",
        ),
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
