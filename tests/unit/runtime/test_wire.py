"""Every registered message goes over the wire and comes back; secrets never reach a journal."""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quoit
from quoit.engine.program import Circuit, Decay, Hop, Node, Purification, Swap
from quoit.model.secret import Secret
from quoit.runtime import wire
from quoit.runtime.wire import Message

FLOORS = ("quoit.runtime", "quoit.engine", "quoit.connectivity", "quoit.fabric", "quoit.service", "quoit.scenario")


def every_type() -> dict[str, type[Message]]:
    for module in pkgutil.walk_packages(quoit.__path__, "quoit."):
        if module.name.startswith(FLOORS):
            importlib.import_module(module.name)
    return {name: kind for name, kind in wire.registered().items() if not name.startswith("test.")}


def circuit(hops: int, success: float, wanted: int | None) -> Circuit:
    """One that devices could execute, with something in every field."""
    hop = Hop(10, success, 100, (0.9, 0.8, 0.85), stored_ns=7, restart_ns=3)
    nodes = [
        Node(Decay.t1_t2(2, 1), Swap(None, hops, 3, 0.5, 0.9, True) if 0 < i < hops else None, 5_000 if i else None)
        for i in range(hops + 1)
    ]
    return Circuit(tuple(nodes), (hop,) * hops, 2, wanted, Purification({1: 1}, "bbpssw", 0.99, 0.98))


TYPES = every_type()
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**62), 2**62),
    str: st.text(max_size=12),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=12),
    Secret: st.binary(max_size=24).map(Secret),
    type(None): st.none(),
    Any: st.integers(0, 9),
    Circuit: st.builds(circuit, st.integers(1, 4), st.floats(0.01, 1), st.none() | st.integers(0, 9)),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type: plain ones, structs, unions, tuples, lists and maps of them."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values_of(one) for one in inner])
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return st.lists(values_of(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[values_of(one) for one in inner])
    if origin is list:
        return st.lists(values_of(inner[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(values_of(inner[0]), values_of(inner[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{f.name: values_of(hints[f.name]) for f in msgspec.structs.fields(kind)})
    return st.from_type(kind)


def test_the_registry_knows_the_strata() -> None:
    assert {"service.OpenKeys", "fabric.MoveKey", "fate.Strike"} <= set(TYPES)
    assert all(wire.type_of(name) is kind and wire.name_of(kind) == name for name, kind in TYPES.items())


@pytest.mark.realises("A1")
@pytest.mark.parametrize("name", sorted(TYPES))
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_round_trip(name: str, data: st.DataObject) -> None:
    sent = data.draw(values_of(TYPES[name]))
    assert wire.decode(name, wire.encode(sent)) == sent
    journalled = wire.encode_redacted(sent)
    back = wire.decode_redacted(name, journalled)
    assert type(back) is type(sent)
    assert wire.encode_redacted(back) == journalled


@given(value=st.binary(min_size=6, max_size=64).filter(any))
def test_a_redacted_secret_keeps_its_length_alone(value: bytes) -> None:
    from quoit.service.api import Key

    text = wire.encode_redacted(Key("k", Secret(value)))
    back = wire.decode_redacted("service.Key", text) if "service.Key" in TYPES else msgspec.json.decode(text)
    if isinstance(back, Key):
        assert back.value == Secret(bytes(len(value)))
    assert value not in text
    assert value.hex().encode() not in text


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match=r"fabric\.MoveKey.*taken"):
        wire.message("fabric.MoveKey")(type("Other", (Message,), {}, frozen=True))


def test_what_is_not_registered_is_neither_sent_nor_read() -> None:
    class Stranger(Message):
        x: int

    with pytest.raises(KeyError):
        wire.name_of(Stranger)
    with pytest.raises(KeyError):
        wire.decode("test.no-such-message", b"\x80")


def test_bad_fields_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        wire.decode("service.GetStatus", msgspec.msgpack.encode({"caller": 3, "slave": "x"}))


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (wire.decode, b"\x82\xa6caller\xa1\xc4\xa5slave\xa1x"),
        (wire.decode_redacted, b'{"caller":"\xc4","slave":"x"}'),
    ],
    ids=["bus", "journal"],
)
def test_strings_that_are_not_utf8_are_refused_as_all_else_is(decode: Any, data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError, match="not UTF-8") as refused:
        decode("service.GetStatus", data)
    assert refused.value.__cause__ is None  # the decoder's own error holds the data, which may be keys
