"""What is wrong with services, works and packets of a network file is said where it stands, with what to do."""

from __future__ import annotations

import pytest

from quoit.scenario.check import NetworkFileFaults, loads

NETWORK = """
quoit: 1
name: bad
nodes: {a: {}, b: {}}
spans: [{name: ab, between: [a, b], length: 10 km}]
plant: {PLANT}
links: [{name: link, between: [a, b]}]
"""


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        ("path_computation: nope", "no path computation is called 'nope'"),
        ("services: [{name: q, link: lnk}]", "did you mean 'link'"),
        ("services: [{name: q, link: link}, {name: q, from: a, to: b}]", "the name 'q' is taken"),
        ("services: [{name: link, from: a, to: b}]", "the name 'link' is taken"),
        ("services: [{name: q, link: link}, {name: r, link: link}]", "carries link 'link' already"),
        ("services: [{name: x, from: a, to: z}]", "no node is called 'z'"),
        ("services: [{name: x, from: a, to: a}]", "two different nodes"),
        ("services: [{name: x, from: a, to: b, link: link}]", "either link, or"),
        ("services: [{name: x, from: a, to: b, max_noise: 3}]", "for the quantum channel of a link"),
        ("services: [{name: x, from: a, to: b, coroute: later}]", "no earlier service is called 'later'"),
        ("services: [{name: x, from: a, to: b, at: 5s, until: 5s}]", "until must come after at"),
        ("works: [{name: w, spans: [cd], at: 1s, until: 2s}]", "no span is called 'cd'"),
        ("works: [{name: w, spans: [ab], at: 2s, until: 1s}]", "until must come after at"),
        ("packets: {links: [none]}", "no link is called 'none'"),
        ("packets: {policy: hope}", "policy"),
    ],
)
def test_faults_are_told(plant: str, said: str) -> None:
    with pytest.raises(NetworkFileFaults) as found:
        loads(NETWORK.replace("PLANT", plant))
    assert any(said in str(fault) for fault in found.value.faults), found.value.faults
