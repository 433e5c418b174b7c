"""Any parser gives a value or its one documented error, whatever bytes it is given (S6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quoit.interfaces.etsi014.codec import route
from quoit.interfaces.strict_json import decode_object
from quoit.interfaces.units.codec import parse_open, parse_unit_id
from quoit.model.problem import Problem
from quoit.model.urn import Urn
from quoit.runtime import wire
from quoit.runtime.journal import JournalError, read
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.run_directory import NothingToResume, TwinState

MANY = settings(max_examples=400, deadline=None, derandomize=True)
TWO_NODES = (Path(__file__).parents[2] / "examples" / "two-nodes.yaml").read_text()

NASTY = ["", "{", "[", "- ", "\n", ": ", "&a *a", "!!python/x", "\t", "9" * 400]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
bodies = st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode())


def mutated(text: str) -> st.SearchStrategy[str]:
    """The text with a stretch of it gone, doubled or replaced."""
    return st.builds(
        lambda at, length, other: text[: at % len(text)] + other + text[at % len(text) + length :],
        st.integers(0, 10_000),
        st.integers(0, 40),
        st.text(max_size=12)
        | st.sampled_from(["", "{", "[", "- ", "\n", ": ", "&a *a", "!!python/x", "\t", "9" * 400]),
    )


def parsed(parse: Callable[[], Any], *documented: type[Exception]) -> Any:
    """What comes of it: the value, or the documented error itself. Any other exception fails the test."""
    try:
        return parse()
    except documented as fault:
        return fault


@MANY
@given(st.text(max_size=80) | st.text("urn:qkd-AZ09%?=#+/.~", max_size=60))
@example("urn:qkd:" + "a" * 5000)
@example("urn:qkd:%")
@example("urn:qkd:a?=b?+c#")
def test_urns(text: str) -> None:
    urn = parsed(lambda: Urn.parse(text), Problem)
    assert urn.code == "malformed-urn" if isinstance(urn, Problem) else Urn.parse(str(urn)) == urn


@MANY
@given(bodies)
@example(b"[" * 100_000)
@example(b'{"a":' * 50_000)
@example(b'{"a":1e400}')
@example(b'{"a":' + b"9" * 5000 + b"}")
@example(b'{"a":"\\ud800"}')
def test_json_bodies(body: bytes) -> None:
    found = parsed(lambda: decode_object(body), Problem)
    assert found.row.status == 400 if isinstance(found, Problem) else isinstance(found, dict)
    asked = parsed(lambda: parse_open("alice", body, lambda: "id"), Problem)
    assert not isinstance(asked, Problem) or asked.row.status == 400


@MANY
@given(st.binary(max_size=120) | st.binary(max_size=60).map(lambda b: b"/api/v1/keys/" + b + b"/enc_keys"))
def test_paths(path: bytes) -> None:
    call = parsed(lambda: route(path), Problem)
    assert not isinstance(call, Problem) or call.row.status in (400, 404)


@MANY
@given(st.text(max_size=60))
def test_unit_identifiers(text: str) -> None:
    parsed(lambda: parse_unit_id(text), Problem, ValueError)


@MANY
@given(mutated(TWO_NODES))
def test_network_files(text: str) -> None:
    network = parsed(lambda: loads(text), NetworkFileFaults)
    assert not isinstance(network, NetworkFileFaults) or network.faults


@MANY
@given(st.sampled_from(sorted(wire.registered())), st.binary(max_size=200))
def test_wire_messages(name: str, data: bytes) -> None:
    parsed(lambda: wire.decode(name, data), msgspec.DecodeError)


@MANY
@given(bodies)
def test_states_and_journals(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.json"
    file.write_bytes(body)
    with pytest.raises(NothingToResume):
        TwinState(file).next_life("a network of no such name")
    with pytest.raises(JournalError):
        read(file)
