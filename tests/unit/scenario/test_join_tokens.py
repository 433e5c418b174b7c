"""Join tokens: good once, for one node, for a time; kept as digests only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from quoit.interfaces.enrolment.codec import JoinToken
from quoit.interfaces.enrolment.server import Attempts
from quoit.model.problem import Problem
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.tokens import LONGEST_S, TokenBook

NODES = frozenset({"carol", "dave"})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def book(path: Path, clock: Clock) -> TokenBook:
    return TokenBook(path / "tokens.json", NODES, clock)


@pytest.mark.realises("G2", "G3")
def test_a_token_is_good_once_and_only_its_digest_is_kept(tmp_path: Path) -> None:
    clock = Clock()
    one = book(tmp_path, clock)
    secret = one.make("carol", 60)
    file = tmp_path / "tokens.json"
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert one.node_of(secret) == "carol"
    one.use_up("carol")
    for reader in (one, book(tmp_path, clock)):
        with pytest.raises(Problem) as caught:
            reader.node_of(secret)
        assert caught.value.code == "bad-token"
    one.has_joined("carol")
    with pytest.raises(Problem, match="joined already"):
        book(tmp_path, clock).make("carol", 60)


def test_a_token_ages_is_replaced_and_is_for_planned_nodes_only(tmp_path: Path) -> None:
    clock = Clock()
    one = book(tmp_path, clock)
    old, other = one.make("carol", 60), one.make("dave", 60)
    new = one.make("carol", 60)
    assert one.node_of(new) == "carol"
    assert one.node_of(other) == "dave"
    clock.now += 60
    for secret in (old, new, other):
        with pytest.raises(Problem):
            one.node_of(secret)
    for node, life in (("mallory", 60.0), ("carol", 0.0), ("carol", LONGEST_S + 1)):
        with pytest.raises(Problem):
            one.make(node, life)
    (tmp_path / "tokens.json").write_text('{"tokens": 3}')
    with pytest.raises(ValueError, match="damaged"):
        book(tmp_path, clock)


def test_a_token_says_where_to_go_and_is_not_shown_by_accident() -> None:
    token = JoinToken("carol", "https://127.0.0.1:8443", "ab" * 32, "S" * 43)
    assert JoinToken.parse(f"  {token.text()}\n") == token
    assert "S" * 43 not in repr(token)
    whole = token.text()
    for text in ("", "quoit-join-", whole[:-1], whole.replace("quoit-join-", "x"), whole[:40] + ".S"):
        with pytest.raises(Problem) as caught:
            JoinToken.parse(text)
        assert caught.value.code == "bad-token"
        assert "SSSS" not in caught.value.detail


def test_attempts_are_limited_and_come_back_with_time() -> None:
    clock = Clock()
    attempts = Attempts(2, 6.0, clock)
    attempts.take()
    attempts.take()
    with pytest.raises(Problem, match="6 s"):
        attempts.take()
    clock.now += 6
    attempts.take()
    with pytest.raises(Problem):
        attempts.take()


FILE = """
quoit: 1
name: x
nodes: {%s}
spans: [{name: ab, between: [a, b], length: 1 km}]
links: [{name: ab, between: [a, b], protocol: rated, rate: 1 kbit/s%s}]
"""


@pytest.mark.parametrize(
    ("nodes", "more", "said"),
    [
        ("a: {joins: token}, b: {}", "", "the first node holds control"),
        ("a: {}, b: {joins: token}", ", initial_pool: 8 bit", "has no key yet"),
        ("a: {}, b: {joins: token, memories: {number: 2}}", "", "nodes with memories"),
        ("a: {}, b: {joins: maybe}", "", "token"),
    ],
)
def test_what_cannot_join_is_a_fault_of_the_file(nodes: str, more: str, said: str) -> None:
    with pytest.raises(NetworkFileFaults, match=said):
        loads(FILE % (nodes, more), "file")
    assert loads(FILE % ("a: {}, b: {joins: token}", ""), "file").joining == {"b"}


def test_nodes_with_agents_may_join_unless_control_is_outside() -> None:
    text = FILE % ("a: {}, b: {joins: token}", "") + "\npolicies: {%s}\n"
    for policies in ("agents: true", "control: sdqkd"):
        assert loads(text % policies, "file").joining == {"b"}
    with pytest.raises(NetworkFileFaults, match="controllers from outside know their nodes from their start"):
        loads(text % "control: external", "file")
