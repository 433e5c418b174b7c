"""Links over entangled pairs in a network file: what is taken, and what each fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.fabric.links.receiver import PairProtocol
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.entanglement import EntanglementSide, span_finder
from quoit.scenario.pair_keys import PairKeys, protocol_of

DELFT = (Path(__file__).parents[3] / "examples" / "delft.yaml").read_text()
OVER = "over: [leiden--hague, hague--delft, delft--rotterdam]"
NO_FIDELITY = DELFT.replace("fidelity: 0.992", "fidelity: 0.90")


def changed(old: str, new: str, text: str = DELFT) -> str:
    assert old in text, old
    return text.replace(old, new, 1)


def test_a_path_is_as_the_file_has_it_or_the_one_that_costs_pairs_least() -> None:
    network = loads(DELFT)
    keys = PairKeys(network, EntanglementSide(network, span_finder(network), 1))
    given, planned = (keys.path(link) for link in network.links)
    assert given.nodes == planned.nodes == ("leiden", "hague", "delft", "rotterdam")
    assert given.over == planned.over == given.spans == ("leiden--hague", "hague--delft", "delft--rotterdam")
    asked = keys.circuit(network.links[0], protocol_of(network, network.links[0]))
    assert (asked.width, asked.head, asked.tail) == (2, "leiden", "rotterdam")
    assert asked.fidelity == pytest.approx(0.8528, abs=1e-4)  # QBER 9.81 %: nothing is left at f = 1.16
    assert all(isinstance(protocol_of(network, link), PairProtocol) for link in network.links)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (OVER, OVER.replace("hague--delft", "hague--delf"), "links.0.over.1: no pair link is called 'hague--delf'"),
        (OVER, "over: [leiden--hague, delft--rotterdam]", "delft--rotterdam joins delft and rotterdam, and the path"),
        (OVER, "over: [leiden--hague]", "expected a path from leiden to rotterdam that meets each node once, found"),
        (OVER, "over: []", "links.0.over: list should have at least 1 item"),
        ("    width: 2", "    width: 3", "pair link hague--delft has 4 pairs, and links up to here need 5"),
        (f"{OVER}\n    width: 2", "width: 9", "no path of pair links with 9 pairs each joins leiden and rotterdam"),
        ("    width: 2", "    spans: [leiden--hague]", "bbm92-pairs has no fibre of its own"),
        ("    width: 2", "    fidelity: 0.99", "expected a floor of 0.9688 or less, found 0.99"),
        ("    width: 2", "    profile: e91-pairs", "profile e91-pairs is for protocol e91-pairs"),
        ("    width: 2", "    mode: exact", "mode exact is for protocol bb84-decoy"),
        ("    width: 2", "    rate: 1 kbit/s", "a rate is given only to a rated link"),
        ("protocol: bbm92-pairs", "protocol: bbm92", "over is for protocols bbm92-pairs and e91-pairs, found 'bbm92'"),
        ("name: bbm92", "name: hague--delft", "the name 'hague--delft' is taken by one of links"),
        ("block_bits: 30000", "chsh_above: 1.5", "expected chsh_above of 2 or more"),
        ("block_bits: 30000", "block_bits: many", "block_bits: expected a number, found 'many'"),
    ],
)
def test_each_fault_says_what_was_expected(old: str, new: str, complaint: str) -> None:
    with pytest.raises(NetworkFileFaults) as found:
        loads(changed(old, new))
    assert complaint in str(found.value)


def test_pairs_that_leave_no_key_are_refused_unless_the_file_asks_for_them() -> None:
    with pytest.raises(NetworkFileFaults) as found:
        loads(NO_FIDELITY)
    assert len(found.value.faults) == 2
    assert "below 0.8528 a pair leaves no key, give fidelity to take such pairs" in str(found.value)
    asked = changed("    width: 2", "    fidelity: 0.7", NO_FIDELITY)
    with pytest.raises(NetworkFileFaults) as found:
        loads(asked)
    assert [fault.loc for fault in found.value.faults] == [("links", 1)]


def test_a_broken_pair_link_is_told_and_not_what_follows_from_it() -> None:
    with pytest.raises(NetworkFileFaults) as found:
        loads(changed("success: 0.2", "succes: 0.2"))
    assert [fault.loc for fault in found.value.faults] == [("pair_links", 0, "succes")]


@pytest.mark.parametrize(
    ("kind", "target", "complaint"),
    [
        ("intercept-resend", "hague--delft", None),
        ("depolarise", "hague--delft", None),
        ("tamper-messages", "bbm92", None),
        ("intercept-resend", "bbm92", "bbm92 has no light of its own: attack a pair link that it goes over"),
        ("depolarise", "e91", "e91 has no light of its own"),
        ("photon-number-splitting", "bbm92", "bbm92 has no light of its own"),
        ("photon-number-splitting", "hague--delft", "no link is called 'hague--delft'"),
        ("depolarise", "hague", "no pair link is called 'hague'"),
        ("tamper-messages", "hague--delft", "no link is called 'hague--delft'"),
    ],
)
def test_attacks_are_aimed_at_what_has_light(kind: str, target: str, complaint: str | None) -> None:
    text = f"{DELFT}events: [{{at: 5s, attack: {{kind: {kind}, link: {target}, fraction: 0.2}}}}]\n"
    if complaint is None:
        assert loads(text).events
        return
    with pytest.raises(NetworkFileFaults) as found:
        loads(text)
    assert complaint in str(found.value)
