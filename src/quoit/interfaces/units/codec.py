"""quoit's own interface to service units, as a pure codec: JSON to messages, messages to JSON.

A unit is a set of endpoint URNs and a lifecycle URN; it has no direction. Refusals are RFC 9457 problem
details. Instants are given twice: simulated nanoseconds (`*_ns`) and the scenario's Unix time (`*_unix_s`).
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from quoit.interfaces.http_edge import Answer
from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Blame, Problem
from quoit.service.api import (
    AllocateMemory,
    FreeMemory,
    ListUnits,
    Notes,
    OpenUnit,
    OperateOn,
    SendNote,
    TakeNotes,
    Unit,
    UnitChanged,
)

STATES = ("requested", "routed", "established", "delivered", "consumed", "expired", "failed")
MAX_ENDPOINTS = 32
MAX_URN_LENGTH = 2048
MAX_LISTED = 1000

_DECIMAL = re.compile(r"[1-9][0-9]{0,3}\Z")


def parse_open(originator: str, body: bytes, new_unit_id: Callable[[], str]) -> OpenUnit:
    """`{"endpoints": [URN, URN, ...], "lifecycle": URN}`. Whether these are URNs is the element's to say.

    Raises `Problem("malformed")`.
    """
    members = decode_object(body)
    unknown = sorted(members.keys() - {"endpoints", "lifecycle"})
    if unknown:
        raise Problem("malformed", f"expected endpoints and lifecycle, found {shown(unknown[0])} as well")
    endpoints = members.get("endpoints")
    if not isinstance(endpoints, list) or not 2 <= len(endpoints) <= MAX_ENDPOINTS:
        raise Problem("malformed", f"endpoints: expected a list of 2 to {MAX_ENDPOINTS} URNs")
    urns = tuple(_urn("endpoints", value) for value in endpoints)
    return OpenUnit(originator, urns, _urn("lifecycle", members.get("lifecycle")), new_unit_id())


def _urn(where: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_URN_LENGTH or not value.isascii():
        raise Problem("malformed", f"{where}: expected a URN, found {shown(value)}")
    return value


def asks_for_states(lifecycle: str) -> bool:
    """Does a lifecycle URN ask for shared states, and not for key?"""
    parameters = lifecycle.partition("?=")[2].partition("#")[0].split("&")
    return any(parameter.startswith("state=") for parameter in parameters)


def parse_unit_id(text: str) -> str:
    """A unit's identifier, also its 014 key_ID, in lower case. Raises `Problem("unknown-unit")`."""
    try:
        value = str(uuid.UUID(text))
    except ValueError:
        raise Problem("unknown-unit", "a unit's identifier is a UUID") from None
    if value != text.lower():  # uuid.UUID takes braces, urn:uuid: and missing hyphens as well
        raise Problem("unknown-unit", "a unit's identifier is a UUID")
    return value


def parse_list(caller: str, query: Mapping[str, str]) -> ListUnits:
    """`?prefix=&state=&limit=`. Raises `Problem("malformed")`."""
    unknown = sorted(query.keys() - {"prefix", "state", "limit"})
    if unknown:
        raise Problem("malformed", f"expected prefix, state, limit or key_id, found {shown(unknown[0])}")
    state = query.get("state")
    if state is not None and state not in STATES:
        raise Problem("malformed", f"state: expected one of {', '.join(STATES)}, found {shown(state)}")
    limit = query.get("limit", "100")
    if not _DECIMAL.match(limit) or int(limit) > MAX_LISTED:
        raise Problem("malformed", f"limit: expected 1 to {MAX_LISTED}, found {shown(limit)}")
    prefix = query.get("prefix")
    return ListUnits(caller, None if prefix is None else _urn("prefix", prefix), state, int(limit))


OPERATIONS = (
    "init", "x", "y", "z", "h", "s", "sdg", "t", "rx", "ry", "rz", "cnot", "cz", "swap", "measure", "bell-measure",
    "correct", "discard",
)  # fmt: skip
MAX_ADDRESSES = 64
MAX_NOTE_LENGTH = 16_384


def parse_operation(caller: str, body: bytes) -> OperateOn:
    """`{"name": ..., "addresses": [...], "basis": "Z", "angle_rad": 0.0, "pauli": "I"}`. Problem `malformed`."""
    members = _members(body, {"name", "addresses"}, {"basis", "angle_rad", "pauli"})
    name, basis, pauli = members["name"], members.get("basis", "Z"), members.get("pauli", "I")
    if name not in OPERATIONS:
        raise Problem("malformed", f"name: expected one of {', '.join(OPERATIONS)}, found {shown(name)}")
    if basis not in ("X", "Y", "Z"):
        raise Problem("malformed", f"basis: expected X, Y or Z, found {shown(basis)}")
    if pauli not in ("I", "X", "Y", "Z"):
        raise Problem("malformed", f"pauli: expected I, X, Y or Z, found {shown(pauli)}")
    angle = members.get("angle_rad", 0.0)
    if isinstance(angle, bool) or not isinstance(angle, int | float) or not abs(angle) < 1e6:
        raise Problem("malformed", f"angle_rad: expected a number, found {shown(angle)}")
    return OperateOn(caller, name, _addresses(members["addresses"]), basis, float(angle), pauli)


def parse_allocation(caller: str, body: bytes) -> AllocateMemory:
    """`{"number": 1}`. Problem `malformed`."""
    number = _members(body, set(), {"number"}).get("number", 1)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_ADDRESSES:
        raise Problem("malformed", f"number: expected 1 to {MAX_ADDRESSES}, found {shown(number)}")
    return AllocateMemory(caller, number)


def parse_freeing(caller: str, body: bytes) -> FreeMemory:
    """`{"addresses": [...]}`. Problem `malformed`."""
    return FreeMemory(caller, _addresses(_members(body, {"addresses"}, set())["addresses"]))


def parse_note(caller: str, body: bytes) -> SendNote:
    """`{"to": SAE ID or URN, "text": ...}`. Problem `malformed`."""
    members = _members(body, {"to", "text"}, set())
    text = members["text"]
    if not isinstance(text, str) or len(text) > MAX_NOTE_LENGTH:
        raise Problem("malformed", f"text: expected at most {MAX_NOTE_LENGTH} characters")
    return SendNote(caller, _urn("to", members["to"]), text)


def parse_taking(caller: str, query: Mapping[str, str]) -> TakeNotes:
    """`?wait_ms=` up to 8000. Problem `malformed`."""
    wait = query.get("wait_ms", "0")
    if query.keys() - {"wait_ms"} or not wait.isascii() or not wait.isdigit() or int(wait[:6]) > 8_000:
        raise Problem("malformed", f"wait_ms: expected 0 to 8000, found {shown(wait)}")
    return TakeNotes(caller, int(wait) * 1_000_000)


def notes_object(notes: Notes, unix_s: Callable[[int], float]) -> dict[str, Any]:
    """Messages as they are shown to whom they are for."""
    found = [msgspec.to_builtins(note) for note in notes.notes]
    return {"messages": [{**note, "arrived_unix_s": unix_s(note["arrived_ns"])} for note in found]}


def _members(body: bytes, needed: set[str], possible: set[str]) -> dict[str, Any]:
    members = decode_object(body)
    missing, unknown = sorted(needed - members.keys()), sorted(members.keys() - needed - possible)
    if missing:
        raise Problem("malformed", f"expected {missing[0]}")
    if unknown:
        raise Problem(
            "malformed", f"expected {', '.join(sorted(needed | possible))}; found {shown(unknown[0])} as well"
        )
    return members


def _addresses(value: object) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= MAX_ADDRESSES
        or not all(isinstance(a, str) and 0 < len(a) <= 128 for a in value)
    ):
        raise Problem("malformed", f"addresses: expected a list of 1 to {MAX_ADDRESSES} memory addresses")
    return tuple(value)


def unit_object(unit: Unit, unix_s: Callable[[int], float]) -> dict[str, Any]:
    """A unit as it is shown to its parties."""
    shown_unit = msgspec.to_builtins(msgspec.structs.replace(unit, content=None))
    assert isinstance(shown_unit, dict)
    if unit.content is None:
        del shown_unit["content"]
    else:
        shown_unit["content"] = base64.b64encode(unit.content.reveal()).decode("ascii")
    shown_unit["created_unix_s"] = unix_s(unit.created_ns)
    shown_unit["expires_unix_s"] = None if unit.expires_ns is None else unix_s(unit.expires_ns)
    return shown_unit


def event_bytes(change: UnitChanged, unix_s: Callable[[int], float]) -> bytes:
    """One server-sent event. Its id is the same on every stream that carries it."""
    data = msgspec.json.encode({**msgspec.to_builtins(change), "at_unix_s": unix_s(change.at_ns)})
    identifier = f"{change.at_ns}:{change.unit_id}:{change.state}"
    return b"id: %s\nevent: unit-changed\ndata: %s\n\n" % (identifier.encode("ascii"), data)


def gap_bytes(last_event_id: str) -> bytes:
    """The first event for a client that comes back: what it missed is not kept."""
    safe = last_event_id[:128].encode("ascii", "replace").decode("ascii")
    data = msgspec.json.encode({"since": safe, "mend": "news in between are not kept: GET /api/v1/units"})
    return b"event: gap\ndata: %s\n\n" % data


def render_problem(problem: Problem) -> Answer:
    """RFC 9457 problem details, with the table's `code`, `blame` and `mend`."""
    row = problem.row
    details: dict[str, Any] = {
        "type": f"urn:quoit:problem:{row.code}",
        "title": row.title,
        "status": row.status,
        "code": row.code,
        "blame": row.blame.value,
        "mend": row.mend,
    }
    if row.blame is not Blame.US:
        details["fields"] = {name: value for name, value in problem.fields.items() if name != "allow"}
        if problem.detail and row.code not in ("foreign-unit", "unknown-unit"):
            details["detail"] = problem.detail
    if row.code == "foreign-unit":  # a stranger must not learn that the unit exists
        details["type"], details["code"] = "urn:quoit:problem:unknown-unit", "unknown-unit"
        details["fields"] = {}
    headers = [("content-type", "application/problem+json")]
    if "allow" in problem.fields:
        headers.append(("allow", str(problem.fields["allow"])))
    return Answer(row.status, msgspec.json.encode(details), tuple(headers))
