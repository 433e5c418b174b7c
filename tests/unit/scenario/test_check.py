"""All faults of a network file at once, each with its place and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.scenario.check import check, loads

BAD = """quoit: 1
name: bad net
mode: exact
nodes: {alice: {}, bob: {}, carol: {lat: 95}}
spans:
  - {between: [alice, bob], length: 20 parsec}
  - {between: [alice, dave], length: 20 km}
  - {between: [alice, alice], length: 20 km}
links:
  - {between: [alice, bob], profile: bb84-gigaherz}
  - {between: [bob, carol], protocol: rated}
  - {between: [alice, bob], protocol: bbm92, profile: bbm92-cw}
profiles:
  mine: {base: bb84-gigahertz, detector_eficiency: 0.2}
applications:
  - {sae: alice-app, kme: kme-alise, alow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-ap], urn: "urn:"}
  - {sae: bob-app, kme: kme-bob}
policies: {key_size: -8, key_validity: 3 parsecs}
events:
  - {at: 5s, cut: nowhere}
  - {at: 5s}
"""


def faults_of(text: str, tmp_path: Path) -> list[tuple[int, str, str]]:
    file = tmp_path / "net.yaml"
    file.write_text(text)
    return [(f.place.line, ".".join(map(str, f.loc)), f.text) for f in check(file)]


def test_all_faults_are_told_at_once_in_order(tmp_path: Path) -> None:
    found = faults_of(BAD, tmp_path)
    assert [(line, loc) for line, loc, _ in found] == [
        (2, "name"),
        (4, "nodes.carol.lat"),
        (6, "spans.0.length"),
        (8, "spans.2.between"),
        (10, "links.0.profile"),
        (11, "links.1.protocol"),
        (12, "links.2"),
        (12, "links.2.protocol"),
        (14, "profiles.mine"),
        (16, "applications.0.alow"),
        (17, "applications.1.urn"),
        (18, "applications.2"),
        (19, "policies.key_size"),
        (19, "policies.key_validity"),
        (22, "events.1"),
    ]


def test_each_fault_says_what_was_expected_and_what_was_found(tmp_path: Path) -> None:
    texts = {loc: text for _, loc, text in faults_of(BAD, tmp_path)}
    assert texts["links.0.profile"] == "no profile is called 'bb84-gigaherz'; did you mean 'bb84-gigahertz'?"
    assert texts["applications.0.alow"] == "unknown key 'alow'; did you mean 'allow'?"
    assert texts["profiles.mine"].endswith("did you mean 'detector_efficiency'?")
    assert "found '3 parsecs'" in texts["policies.key_validity"]
    assert "such as '24.5 km'" in texts["spans.0.length"]


MENDED = """
quoit: 1
name: good
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 20 km}]
links: [{between: [alice, bob], protocol: PROTOCOL, mode: exact, PROFILE}]
"""


def test_mode_exact_is_refused_where_it_would_not_be_played(tmp_path: Path) -> None:
    text = MENDED.replace("PROTOCOL", "bbm92").replace("PROFILE", "profile: bbm92-cw")
    ((line, loc, what),) = faults_of(text, tmp_path)
    assert (line, loc) == (6, "links.0.mode")
    assert "found 'bbm92'" in what
    assert loads(MENDED.replace("PROTOCOL", "bb84-decoy").replace("PROFILE", "profile: bb84-gigahertz")).links


def test_what_may_follow_from_a_broken_entry_is_not_told(tmp_path: Path) -> None:
    text = MENDED.replace("PROTOCOL", "bb84-decoy").replace(", PROFILE", "").replace("length: 20 km", "length: long")
    assert [loc for _, loc, _ in faults_of(text, tmp_path)] == ["spans.0.length"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b: c\n", 1),
        ("quoit: 1\nname: x\nname: y\n", 3),
        ("- 1\n", 1),
        ("", 1),
        ("quoit: 1\nnodes: &a {b: *a}\n", 2),
    ],
)
def test_what_is_not_a_network_file_is_told_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    assert line in [found for found, _, _ in faults_of(text, tmp_path)]


def test_what_cannot_be_read_is_a_fault_too(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(200, 256)))
    for path in (tmp_path / "missing.yaml", tmp_path, tmp_path / "binary"):
        (fault,) = check(path)
        assert "cannot be read" in fault.text
