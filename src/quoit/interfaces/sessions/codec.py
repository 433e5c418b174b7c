"""Key sessions as a pure codec: JSON to messages, messages to JSON. Refusals are problem details."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem
from quoit.service.api import OpenSession, Session

MAX_PATHS = 4
MAX_AVOIDED = 64
MAX_NAME_LENGTH = 2048
MOST_BPS = 1e12
MOST_MS = 86_400_000.0
REQUIRED = {"peer", "rate_bps"}
OPTIONAL = {
    "burst_bits", "priority", "paths", "most_transit", "avoid", "max_latency_ms", "max_jitter_ms", "valid_for_s",
    "on_shortage",
}  # fmt: skip


def parse_open(caller: str, body: bytes, new_id: Callable[[], str]) -> OpenSession:
    """`{"peer": SAE ID or URN, "rate_bps": 2000, ...}`, see openapi.yaml. Raises `Problem("malformed")`."""
    members = decode_object(body)
    missing, unknown = sorted(REQUIRED - members.keys()), sorted(members.keys() - REQUIRED - OPTIONAL)
    if missing:
        raise Problem("malformed", f"expected the member {missing[0]}")
    if unknown:
        names = ", ".join(sorted(REQUIRED | OPTIONAL))
        raise Problem("malformed", f"expected members among {names}; found {shown(unknown[0])}")
    shortage = members.get("on_shortage", "refuse")
    if shortage not in ("refuse", "hybrid"):
        raise Problem("malformed", f"on_shortage: expected refuse or hybrid, found {shown(shortage)}")
    valid_s = _number(members, "valid_for_s", 0.001, MOST_MS)
    return OpenSession(
        caller,
        _name("peer", members["peer"]),
        new_id(),
        _number(members, "rate_bps", 1.0, MOST_BPS) or 0.0,
        _whole(members, "burst_bits", 1, 10**12),
        _whole(members, "priority", 0, 7) or 0,
        _whole(members, "paths", 1, MAX_PATHS) or 1,
        _whole(members, "most_transit", 0, 1000),
        _avoided(members.get("avoid", [])),
        _ms(members, "max_latency_ms"),
        _ms(members, "max_jitter_ms"),
        None if valid_s is None else round(valid_s * 1e9),
        shortage,
    )


def session_object(session: Session, unix_s: Callable[[int], float]) -> dict[str, Any]:
    """A session as JSON shows it; instants in Unix time of the scenario, durations in milliseconds."""
    return {
        "session_id": session.session_id,
        "peer": session.peer,
        "state": session.state,
        "rate_bps": session.rate_bps,
        "burst_bits": session.burst_bits,
        "priority": session.priority,
        "paths": session.paths,
        "most_transit": session.most_transit,
        "routes": session.routes,
        "trusted_nodes": session.trusted_nodes,
        "opened_unix_s": unix_s(session.opened_ns),
        "ends_unix_s": None if session.ends_ns is None else unix_s(session.ends_ns),
        "served_bits": session.served_bits,
        "latency_ms": None if session.latency_ns is None else session.latency_ns / 1e6,
        "jitter_ms": None if session.jitter_ns is None else session.jitter_ns / 1e6,
        "why": session.why,
    }


def _name(where: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH or not value.isascii():
        raise Problem("malformed", f"{where}: expected an SAE ID or a URN, found {shown(value)}")
    return value


def _avoided(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_AVOIDED:
        raise Problem("malformed", f"avoid: expected a list of at most {MAX_AVOIDED} nodes, found {shown(value)}")
    return tuple(_name("avoid", one) for one in value)


def _whole(members: dict[str, Any], name: str, least: int, most: int) -> int | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Problem("malformed", f"{name}: expected a whole number of {least} to {most}, found {shown(value)}")
    return value


def _number(members: dict[str, Any], name: str, least: float, most: float) -> float | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Problem("malformed", f"{name}: expected a number of {least:g} to {most:g}, found {shown(value)}")
    return float(value)


def _ms(members: dict[str, Any], name: str) -> int | None:
    value = _number(members, name, 0.001, MOST_MS)
    return None if value is None else round(value * 1e6)
