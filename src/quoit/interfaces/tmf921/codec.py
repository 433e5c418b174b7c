"""Intents as JSON: a pure codec in the shape of TMF921, between its resources and the messages of orchestration.

Names and states are TMF921's (intent, intentReport, lifecycleStatus, validFor, hub events). The expression is ours:
TMF921 leaves its content open, and has JSON-LD over the TM Forum's intent ontology, which is not read here. No
conformance to TMF921 is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    ENTANGLED,
    HYBRID,
    KEY,
    NOTIFY,
    REROUTE,
    TERMINATED,
    CreateIntent,
    Expression,
    Intent,
    IntentChanged,
    ListIntents,
    Report,
    ReviseIntent,
    Targets,
)

BASE = "/tmf-api/intentManagement/v5"
EXPRESSION_TYPE = "QuoitExpression"
MOST_TEXT = 256
MOST_ENDPOINT = 2048
MOST_LISTED = 200
MOST_AVOIDED = 64
UnixS = Callable[[int], float]

INTENT = frozenset({"name", "description", "expression", "priority", "validFor", "@type"})
PATCHABLE = frozenset({"name", "description", "expression", "lifecycleStatus"})
SU = frozenset({"endpoints", "kind", "states"})
TARGETS = frozenset({"rate_bps", "latency_ms", "fidelity", "availability", "trust", "disjoint"})
TRUST = frozenset({"most_transit", "avoid"})
ANY, NO_TRANSIT = "any", "no-transit"


# -- requests ---------------------------------------------------------------------------------------------


def parse_create(body: bytes, owner: str, new_id: Callable[[], str], unix_s: UnixS) -> CreateIntent:
    """POST /intent. Raises `Problem("malformed")`, with the place and what was expected."""
    members = _object("", decode_object(body), INTENT, {"name", "expression"})
    _typed(members, "Intent")
    return CreateIntent(
        new_id(),
        _text("name", members["name"], least=1),
        parse_expression(members["expression"]),
        _text("description", members.get("description", "")),
        _priority(members.get("priority", "0")),
        owner,
        _end_of(members.get("validFor"), unix_s),
    )


def parse_patch(intent_id: str, body: bytes) -> tuple[ReviseIntent | None, bool]:
    """PATCH /intent/{id} (RFC 7396): what to revise, and whether to terminate."""
    members = _object("", decode_object(body), PATCHABLE, set())
    if not members:
        raise Problem("malformed", f"expected members among {', '.join(sorted(PATCHABLE))}, found none")
    status = members.pop("lifecycleStatus", None)
    if status is not None and (status != TERMINATED or members):
        raise Problem(
            "malformed", f"lifecycleStatus: expected {TERMINATED}, and nothing beside it; found {shown(status)}"
        )
    if status is not None:
        return None, True
    return ReviseIntent(
        intent_id,
        None if "name" not in members else _text("name", members["name"], least=1),
        None if "description" not in members else _text("description", members["description"]),
        None if "expression" not in members else parse_expression(members["expression"]),
    ), False


def parse_expression(value: object) -> Expression:
    """`{"su": ..., "targets": ..., "on_violation": ...}`, alone or as the `expressionValue` of a TMF921 expression."""
    if isinstance(value, dict) and "expressionValue" in value:
        outer = _object("expression", value, {"@type", "expressionValue"}, {"@type"})
        _typed(outer, EXPRESSION_TYPE, "expression.")
        value = outer["expressionValue"]
    members = _object("expression", value, {"su", "targets", "on_violation"}, {"su"})
    su = _object("expression.su", members["su"], SU, {"endpoints", "kind"})
    violation = members.get("on_violation", REROUTE)
    _among("expression.on_violation", violation, (REROUTE, HYBRID, NOTIFY))
    _among("expression.su.kind", su["kind"], (KEY, ENTANGLED))
    endpoints = su["endpoints"]
    if not isinstance(endpoints, list) or not 2 <= len(endpoints) <= 32:
        raise Problem(
            "malformed", f"expression.su.endpoints: expected a list of 2 to 32 names, found {shown(endpoints)}"
        )
    names = tuple(_text("expression.su.endpoints", one, 1, MOST_ENDPOINT) for one in endpoints)
    states = _whole("expression.su.states", su.get("states", 1), 1, 10_000)
    return Expression(names, su["kind"], parse_targets(members.get("targets", {})), violation, states)


def parse_targets(value: object) -> Targets:
    members = _object("expression.targets", value, TARGETS, set())
    where = "expression.targets."
    latency = members.get("latency_ms")
    most, avoid = _trust(members.get("trust", ANY))
    return Targets(
        _number(where + "rate_bps", members.get("rate_bps"), 1.0, 1e12),
        None if latency is None else round((_number(where + "latency_ms", latency, 0.001, 8.64e7) or 0.0) * 1e6),
        _number(where + "fidelity", members.get("fidelity"), 0.5, 1.0),
        _number(where + "availability", members.get("availability"), 0.0, 1.0),
        most,
        avoid,
        _whole(where + "disjoint", members.get("disjoint", 1), 1, 4),
    )


def _trust(value: object) -> tuple[int | None, tuple[str, ...]]:
    where = "expression.targets.trust"
    if value == ANY:
        return None, ()
    if value == NO_TRANSIT:
        return 0, ()
    if not isinstance(value, dict):
        raise Problem("malformed", f"{where}: expected {ANY}, {NO_TRANSIT} or an object, found {shown(value)}")
    members = _object(where, value, TRUST, set())
    avoid = members.get("avoid", [])
    if not isinstance(avoid, list) or len(avoid) > MOST_AVOIDED:
        raise Problem("malformed", f"{where}.avoid: expected at most {MOST_AVOIDED} nodes, found {shown(avoid)}")
    most = members.get("most_transit")
    return (
        None if most is None else _whole(f"{where}.most_transit", most, 0, 1000),
        tuple(_text(f"{where}.avoid", node, 1, 64) for node in avoid),
    )


def parse_list(query: Mapping[str, str]) -> ListIntents:
    """GET /intent?lifecycleStatus=&offset=&limit="""
    return ListIntents(query.get("lifecycleStatus"), *parse_page(query))


def parse_page(query: Mapping[str, str]) -> tuple[int, int]:
    """Offset and limit of a listing."""
    _known_query(query, {"lifecycleStatus", "offset", "limit"})
    return _digits(query, "offset", 0, 0, 10**6), _digits(query, "limit", 100, 1, MOST_LISTED)


def _known_query(query: Mapping[str, str], known: set[str]) -> None:
    for name in query:
        if name not in known:
            raise Problem("malformed", f"query: expected {', '.join(sorted(known))}, found {shown(name)}")


def _digits(query: Mapping[str, str], name: str, otherwise: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise Problem("malformed", f"{name}: expected a whole number of {least} to {most}, found {shown(text)}")
    return int(text)


def _end_of(value: object, unix_s: UnixS) -> int | None:
    """`validFor.endDateTime` in simulated nanoseconds."""
    if value is None:
        return None
    members = _object("validFor", value, {"endDateTime"}, {"endDateTime"})
    text = members["endDateTime"]
    try:
        end = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        end = None
    if end is None or end.tzinfo is None:
        raise Problem("malformed", f"validFor.endDateTime: expected a date-time with zone, found {shown(text)}")
    return round((end.timestamp() - unix_s(0)) * 1e9)


# -- answers ----------------------------------------------------------------------------------------------


def intent_object(intent: Intent, unix_s: UnixS) -> dict[str, Any]:
    """An intent as TMF921 shows one, with the explanation that it has no word for: `x_explanation`."""
    value: dict[str, Any] = {
        "@type": "Intent",
        "id": intent.intent_id,
        "href": f"{BASE}/intent/{intent.intent_id}",
        "name": intent.name,
        "description": intent.description,
        "priority": str(intent.priority),
        "version": str(intent.version),
        "lifecycleStatus": intent.state,
        "statusChangeDate": date_of(intent.changed_ns, unix_s),
        "creationDate": date_of(intent.created_ns, unix_s),
        "expression": {"@type": EXPRESSION_TYPE, "expressionValue": expression_object(intent.expression)},
        "intentReport": {"href": f"{BASE}/intent/{intent.intent_id}/intentReport"},
        "x_why": intent.why,
        "x_resources": list(intent.resources),
        "x_explanation": [{"date": date_of(d.at_ns, unix_s), "step": d.step, "text": d.text} for d in intent.decisions],
    }
    if intent.ends_ns is not None:
        value["validFor"] = {"endDateTime": date_of(intent.ends_ns, unix_s)}
    return value


def expression_object(e: Expression) -> dict[str, Any]:
    """The inverse of `parse_expression`: only what is asked for."""
    t = e.targets
    trust: Any = None
    if t.most_transit == 0 and not t.avoid:
        trust = NO_TRANSIT
    elif t.most_transit is not None or t.avoid:
        trust = {k: v for k, v in (("most_transit", t.most_transit), ("avoid", list(t.avoid))) if v not in (None, [])}
    targets = {
        "rate_bps": t.rate_bps,
        "latency_ms": None if t.latency_ns is None else t.latency_ns / 1e6,
        "fidelity": t.fidelity,
        "availability": t.availability,
        "trust": trust,
        "disjoint": t.disjoint if t.disjoint > 1 else None,
    }
    su: dict[str, Any] = {"endpoints": list(e.endpoints), "kind": e.kind}
    if e.kind == ENTANGLED:
        su["states"] = e.states
    given = {name: value for name, value in targets.items() if value is not None}
    return {"su": su, "targets": given, "on_violation": e.on_violation}


def report_object(report: Report, unix_s: UnixS) -> dict[str, Any]:
    """An intentReport: the figures measured, each with its target and how it was measured."""
    value = {
        "su_state": report.state,
        "why": report.why,
        "figures": [
            {"name": f.name, "unit": f.unit, "target": f.target, "measured": f.measured, "met": f.met, "how": f.what}
            for f in report.figures
        ],
    }
    return {
        "@type": "IntentReport",
        "id": report.report_id,
        "href": f"{BASE}/intent/{report.intent_id}/intentReport/{report.report_id}",
        "name": f"report {report.number}",
        "creationDate": date_of(report.at_ns, unix_s),
        "validFor": {"startDateTime": date_of(report.from_ns, unix_s), "endDateTime": date_of(report.at_ns, unix_s)},
        "intent": {"id": report.intent_id, "href": f"{BASE}/intent/{report.intent_id}", "@type": "IntentRef"},
        "expression": {"@type": EXPRESSION_TYPE, "expressionValue": value},
    }


EVENTS = {
    "created": "IntentCreateEvent",
    "state": "IntentStatusChangeEvent",
    "revised": "IntentAttributeValueChangeEvent",
    "removed": "IntentDeleteEvent",
}


def event_object(news: IntentChanged | Report, event_id: str, unix_s: UnixS) -> dict[str, Any]:
    """What a hub would send for it."""
    if isinstance(news, Report):
        kind, body, at_ns = "IntentReportCreateEvent", {"intentReport": report_object(news, unix_s)}, news.at_ns
    else:
        kind, body = EVENTS[news.what], {"intent": intent_object(news.intent, unix_s)}
        at_ns = news.intent.decisions[-1].at_ns if news.intent.decisions else news.intent.changed_ns
    return {
        "@type": kind, "eventType": kind, "eventId": event_id, "eventTime": date_of(at_ns, unix_s), "event": body,
    }  # fmt: skip


def error_object(problem: Problem) -> dict[str, Any]:
    """TMF630's Error."""
    return {
        "@type": "Error",
        "code": problem.code,
        "reason": problem.row.title,
        "message": problem.detail or problem.row.mend,
        "status": str(problem.row.status),
        "x_mend": problem.row.mend,
    }


def date_of(at_ns: int, unix_s: UnixS) -> str:
    """A date-time of the scenario, to the millisecond."""
    return datetime.fromtimestamp(unix_s(at_ns), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- pieces -----------------------------------------------------------------------------------------------


def _object(where: str, value: object, known: frozenset[str] | set[str], needed: set[str]) -> dict[str, Any]:
    at = f"{where}: " if where else ""
    if not isinstance(value, dict):
        raise Problem("malformed", f"{at}expected an object, found {shown(value)}")
    for name in value:
        if name not in known:
            raise Problem("malformed", f"{at}expected members among {', '.join(sorted(known))}; found {shown(name)}")
    for name in sorted(needed):
        if name not in value:
            raise Problem("malformed", f"{at}expected the member {name}")
    return dict(value)


def _typed(members: Mapping[str, Any], kind: str, where: str = "") -> None:
    if members.get("@type", kind) != kind:
        raise Problem("malformed", f"{where}@type: expected {kind}, found {shown(members['@type'])}")


def _among(where: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise Problem("malformed", f"{where}: expected one of {', '.join(known)}, found {shown(value)}")


def _text(where: str, value: object, least: int = 0, most: int = MOST_TEXT) -> str:
    if not isinstance(value, str) or not least <= len(value) <= most or not value.isprintable():
        raise Problem("malformed", f"{where}: expected {least} to {most} printable characters, found {shown(value)}")
    return value


def _whole(where: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Problem("malformed", f"{where}: expected a whole number of {least} to {most}, found {shown(value)}")
    return value


def _number(where: str, value: object, least: float, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Problem("malformed", f"{where}: expected a number of {least:g} to {most:g}, found {shown(value)}")
    return float(value)


def _priority(value: object) -> int:
    """TMF921 has it as a string."""
    if not isinstance(value, str) or value not in ("0", "1", "2", "3", "4", "5", "6", "7"):
        raise Problem("malformed", f'priority: expected a string of "0" to "7", found {shown(value)}')
    return int(value)
