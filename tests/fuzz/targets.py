"""What the fuzzer calls: each target takes bytes, and gives the parser's value or its one documented error. Any other
exception is a find, and so is a value that does not keep the parser's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from quoit.interfaces.etsi014.codec import Call, Codec
from quoit.interfaces.units.codec import parse_list, parse_open, parse_unit_id
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.model.urn import Urn
from quoit.runtime import wire
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.service.api import Key, Keys, OpenKeys, OpenUnit, TakeKeys

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY_ID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"


def urn(data: bytes) -> object:
    """A URN; it reads as itself when it is written down."""
    found = outcome(lambda: Urn.parse(data.decode("utf-8", "surrogateescape")), Problem)
    if isinstance(found, Problem):
        assert found.code == "malformed-urn"
    else:
        assert Urn.parse(str(found)) == found
    return found


def network_file(data: bytes) -> object:
    """A network file, or all its faults."""
    found = outcome(lambda: loads(data.decode("utf-8", "replace")), NetworkFileFaults)
    assert not isinstance(found, NetworkFileFaults) or found.faults
    return found


def etsi014_body(data: bytes) -> object:
    """Body of a POST of ETSI GS QKD 014; its first byte says which of the two."""
    codec = Codec(lambda number: (KEY_ID,) * number)
    function = "dec_keys" if data[:1] == b"d" else "enc_keys"
    return _refused_with_400(lambda: codec.parse("alice", Call("bob", function), "POST", b"", data[1:]))


def etsi014_query(data: bytes) -> object:
    """Query of a GET of ETSI GS QKD 014; its first byte says which of the two."""
    codec = Codec(lambda number: (KEY_ID,) * number)
    function = "dec_keys" if data[:1] == b"d" else "enc_keys"
    return _refused_with_400(lambda: codec.parse("alice", Call("bob", function), "GET", data[1:]))


def unit_body(data: bytes) -> object:
    """Body of a POST to /api/v1/units."""
    return _refused_with_400(lambda: parse_open("alice", data, lambda: KEY_ID))


def unit_list(data: bytes) -> object:
    """A unit's identifier; if it is none, fields of a query, one a line."""
    text = data.decode("utf-8", "replace")
    found = outcome(lambda: parse_unit_id(text), Problem)
    if isinstance(found, str):
        return found
    assert found.code == "unknown-unit"
    fields = dict(line.partition("=")[::2] for line in text.split("\n"))
    return _refused_with_400(lambda: parse_list("alice", fields))


def wire_message(data: bytes) -> object:
    """A message of another process; the first two bytes pick its kind. What is decoded can be sent on."""
    kinds = sorted(wire.registered())
    name = kinds[int.from_bytes(data[:2]) % len(kinds)]
    found = outcome(lambda: wire.decode(name, data[2:]), msgspec.DecodeError)
    if not isinstance(found, msgspec.DecodeError):
        wire.decode(name, wire.encode(found))
    return found


def _refused_with_400(parse: Callable[[], Any]) -> object:
    found = outcome(parse, Problem)
    assert not isinstance(found, Problem) or found.row.status == 400
    return found


def outcome(parse: Callable[[], Any], documented: type[Exception]) -> Any:
    """The value, or the documented error itself."""
    try:
        return parse()
    except documented as fault:
        return fault


@dataclass(frozen=True)
class Target:
    """`seeds`: inputs to begin with, some of them good."""

    call: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def _sent(msg: wire.Message) -> bytes:
    return sorted(wire.registered()).index(wire.name_of(type(msg))).to_bytes(2) + wire.encode(msg)


_OPEN = b'{"endpoints":["urn:qkd:sae:a","urn:qkd:sae:b"],"lifecycle":"urn:qkd:lifecycle:key?=size=256"}'
_ENC = b'e{"number":2,"size":256,"additional_slave_SAE_IDs":["carol"],"extension_optional":[{"a":1}]}'
_DEC = b'd{"key_IDs":[{"key_ID":"%s"}]}' % KEY_ID.encode()
_MESSAGES = (
    OpenKeys("alice", "bob", 1, (KEY_ID,)),
    TakeKeys("bob", "alice", (KEY_ID,)),
    Keys((Key(KEY_ID, Secret(bytes(32))),)),
    OpenUnit("alice", ("urn:qkd:sae:a", "urn:qkd:sae:b"), "urn:qkd:lifecycle:key", KEY_ID),
)

TARGETS = {
    "urn": Target(urn, (b"urn:qkd:sae:alice?+r?=size=256#f", b"urn:qkd:%41", b"urn:")),
    "network_file": Target(network_file, (*(f.read_bytes() for f in sorted(EXAMPLES.glob("*.yaml"))), b"a")),
    "etsi014_body": Target(etsi014_body, (_ENC, _DEC, b"e", b'd{"key_IDs":[]}')),
    "etsi014_query": Target(etsi014_query, (b"enumber=2&size=256", b"dkey_ID=" + KEY_ID.encode(), b"enumber=a")),
    "unit_body": Target(unit_body, (_OPEN, b"{}")),
    "unit_list": Target(unit_list, (KEY_ID.encode(), b"state=expired\nlimit=7", b"limit=0")),
    "wire_message": Target(wire_message, (*map(_sent, _MESSAGES), b"\0")),
}
