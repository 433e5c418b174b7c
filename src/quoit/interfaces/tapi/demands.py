"""What a TAPI 2.4.0 object asks of an optical network, as plain values: spectrum, power, routing, diversity, recovery.

What would change the service and is not understood is refused (`not-supported`), never passed over. Where TAPI has no
place for what quantum light needs, names and costs carry it, with no change of the modules:

- `name` of value-name `QUANTUM_LINK`: the service carries this link's quantum channel;
- `routing-constraint/cost-characteristic` of cost-name `LOSS_DB`, `NOISE_CPS` and `SWITCHES`: at most so much (so many)
  from end to end;
- `name` of value-name `COMPANION_DBM`: a classical channel of this power on the same fibres, planned jointly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from quoit.model.problem import Problem

QUANTUM_LINK, COMPANION_DBM = "QUANTUM_LINK", "COMPANION_DBM"
LOSS_DB, NOISE_CPS, SWITCHES = "LOSS_DB", "NOISE_CPS", "SWITCHES"
MHZ = 1_000_000
_OBJECTIVES = {"MIN_WORK_ROUTE_COST": "loss", "MIN_WORK_ROUTE_LATENCY": "latency"}
_PAIRS = {
    "MIN_SUM_OF_WORK_AND_PROTECTION_ROUTE_COST": "loss",
    "MIN_SUM_OF_WORK_AND_PROTECTION_ROUTE_LATENCY": "latency",
}
_DIVERSE = frozenset({"SRLG", "NODE", "LINK", "SRNG", "SNG"})
_TOPOLOGY = frozenset({"local-id", "name", "exclude-link", "exclude-node"})
_ROUTING = frozenset(
    {
        "cost-characteristic",
        "route-objective-function",
        "max-allowed-delay",
        "diversity-policy",
        "is-exclusive",
    }
)
_CONNECTIVITY = frozenset({"service-type", "service-level", "schedule", "coroute-inclusion", "diversity-exclusion"})
_RESILIENCE = frozenset(
    {"local-id", "name", "resilience-type", "reversion-mode", "wait-to-revert-time", "hold-off-time"}
)
_UNITS_NS = {
    "MICROSECONDS": 10**3,
    "MILLISECONDS": 10**6,
    "SECONDS": 10**9,
    "MINUTES": 60 * 10**9,
    "HOURS": 3600 * 10**9,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; None: nothing was said. `link`: of a quantum channel. `disjoint`: two paths."""

    link: str | None = None
    centre_mhz: int | None = None
    width_mhz: int | None = None
    launch_dbm: float | None = None
    companion_dbm: float | None = None
    objective: str = "loss"
    disjoint: bool = False
    max_loss_db: float | None = None
    max_noise_cps: float | None = None
    max_latency_ns: int | None = None
    exclude_links: tuple[str, ...] = ()
    exclude_nodes: tuple[str, ...] = ()
    coroute: str | None = None
    apart_from: str | None = None
    restore: bool = True
    revertive: bool = False
    hold_off_ns: int = 0
    wait_ns: int | None = None
    max_switches: int | None = None


def asked_of(tree: Mapping[str, Any]) -> Asked:
    """Read a connectivity service or a path computation service. Problems `malformed`, `not-supported`."""
    names = {row["value-name"]: row["value"] for row in tree.get("name", ())}
    routing = _only(tree.get("routing-constraint", {}), _ROUTING, "routing-constraint")
    wanted = _only(tree.get("connectivity-constraint", {}), _CONNECTIVITY, "connectivity-constraint")
    if tree.get("optimization-constraint") or tree.get("objective-function"):
        raise _unsupported("optimization-constraint and objective-function; use routing-constraint")
    centre_mhz, width_mhz, launch_dbm = _spectrum(tree)
    costs = _costs(routing)
    links, nodes = _excluded(tree)
    companion = names.get(COMPANION_DBM)
    objective, disjoint = _objective(routing)
    return Asked(
        names.get(QUANTUM_LINK),
        centre_mhz,
        width_mhz,
        launch_dbm,
        None if companion is None else _number(COMPANION_DBM, companion),
        objective,
        disjoint,
        costs.get(LOSS_DB),
        costs.get(NOISE_CPS),
        _delay_ns(routing),
        links,
        nodes,
        wanted.get("coroute-inclusion", {}).get("connectivity-service-uuid"),
        _apart(wanted),
        max_switches=_whole(SWITCHES, costs.get(SWITCHES)),
        **_recovery(tree.get("resilience-constraint", {})),
    )


def _unsupported(what: str) -> Problem:
    return Problem("not-supported", f"this network does not do {what}")


def _only(tree: Mapping[str, Any], known: frozenset[str], what: str) -> Mapping[str, Any]:
    strange = sorted(set(tree) - known)
    if strange:
        raise _unsupported(f"{what}/{strange[0]}")
    return tree


def _number(what: str, text: Any) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = float("nan")
    if not isfinite(value):
        raise Problem("malformed", f"{what}: expected a number, found {text!r}")
    return value


def _whole(what: str, value: float | None) -> int | None:
    if value is not None and (value != int(value) or value < 0):
        raise Problem("malformed", f"{what}: expected a whole number of at least 0, found {value:g}")
    return None if value is None else int(value)


def _costs(routing: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for row in routing.get("cost-characteristic", ()):
        name = row["cost-name"]
        if name not in (LOSS_DB, NOISE_CPS, SWITCHES) or "cost-algorithm" in row:
            raise _unsupported(f"a limit of cost {name!r}; known: {LOSS_DB}, {NOISE_CPS}, {SWITCHES}")
        found[name] = _number(name, row.get("cost-value"))
    return found


def _objective(routing: Mapping[str, Any]) -> tuple[str, bool]:
    name = routing.get("route-objective-function")
    if name is not None and name not in _OBJECTIVES and name not in _PAIRS:
        raise _unsupported(f"route-objective-function {name}")
    if "diversity-policy" in routing and name not in _PAIRS:
        raise _unsupported("diversity-policy without an objective over two routes")
    if name in _PAIRS:
        return _PAIRS[name], True
    return _OBJECTIVES.get(name or "", "loss"), False


def _delay_ns(routing: Mapping[str, Any]) -> int | None:
    """TAPI has microseconds."""
    limit = routing.get("max-allowed-delay", {})
    if "priority" in limit and "value" not in limit:
        raise _unsupported("max-allowed-delay/priority")
    return int(limit["value"]) * 1000 if "value" in limit else None


def _excluded(tree: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rows = tree.get("topology-constraint", ())
    links: list[str] = []
    nodes: list[str] = []
    for row in rows:
        _only(row, _TOPOLOGY, "topology-constraint")
        links += [link["link-uuid"] for link in row.get("exclude-link", ())]
        nodes += [node["node-uuid"] for node in row.get("exclude-node", ())]
    return tuple(links), tuple(nodes)


def _apart(wanted: Mapping[str, Any]) -> str | None:
    rows = wanted.get("diversity-exclusion", ())
    if len(rows) > 1:
        raise _unsupported("diversity from more than one other service")
    return rows[0]["connectivity-service-uuid"] if rows else None


def _spectrum(tree: Mapping[str, Any]) -> tuple[int | None, int | None, float | None]:
    """Centre, width (MHz) and launch power (dBm) that the end points agree on."""
    found = set()
    for point in tree.get("end-point", ()):
        for constraint in point.get("layer-protocol-constraint", ()):
            spec = constraint.get("tapi-photonic-media:mcg-connectivity-service-end-point-spec")
            others = [key for key in constraint if key.startswith("tapi-") and "mcg-connectivity" not in key]
            if others or any("otsi-mcg" in key for key in constraint):
                raise _unsupported(f"end-point/layer-protocol-constraint/{others[0] if others else 'otsi'}")
            if spec is not None:
                found.add(_media_channel(spec))
    if len(found) > 1:
        raise Problem("malformed", "expected both end points to ask for the same media channel")
    return found.pop() if found else (None, None, None)


def _media_channel(spec: Mapping[str, Any]) -> tuple[int | None, int | None, float | None]:
    """One media channel, by its spectrum or by its width alone. Frequencies of the modules are in hertz."""
    by_place, by_width = list(spec.get("mc-spectrum-config-pac", ())), list(spec.get("mc-bandwidth-config-pac", ()))
    if (
        "mc-flexi-grid-config-pac" in spec
        or len(by_place) + len(by_width) != 1
        or int(spec.get("number-of-mc", 1)) != 1
    ):
        raise _unsupported("other than one media channel by mc-spectrum-config-pac or mc-bandwidth-config-pac")
    pac: Mapping[str, Any] = (by_place + by_width)[0]
    if pac.get("edge-frequency-constraint"):
        raise _unsupported("edge-frequency-constraint: edges are given, or free on the grid of 100 GHz")
    power = pac.get("power-management-config-pac", {}).get("max-input-power", {}).get("total-power")
    launch_dbm = None if power is None else _number("total-power", power)
    if by_width:
        return None, _mhz(int(pac.get("spectrum-bandwidth", 0))), launch_dbm
    spectrum = pac.get("spectrum", {})
    lower, upper = (int(spectrum.get(f"{edge}-frequency", 0)) for edge in ("lower", "upper"))
    if not 0 < lower < upper:
        raise Problem("malformed", f"expected a spectrum with a lower and an upper edge in Hz, found {lower}, {upper}")
    return _mhz(lower + upper) // 2, _mhz(upper - lower), launch_dbm


def _mhz(hertz: int) -> int:
    if hertz <= 0 or hertz % MHZ:
        raise Problem("malformed", f"expected whole megahertz above 0, given in Hz; found {hertz} Hz")
    return hertz // MHZ


def _recovery(tree: Mapping[str, Any]) -> dict[str, Any]:
    _only(tree, _RESILIENCE, "resilience-constraint")
    kind = _only(
        tree.get("resilience-type", {}), frozenset({"restoration-policy", "protection-type"}), "resilience-type"
    )
    protection = kind.get("protection-type", "DYNAMIC_RESTORATION")
    if protection not in ("NO_PROTECTION", "DYNAMIC_RESTORATION"):
        raise _unsupported(f"protection-type {protection}; open two services apart from each other")
    found: dict[str, Any] = {
        "restore": protection == "DYNAMIC_RESTORATION",
        "revertive": tree.get("reversion-mode") == "REVERTIVE",
        "hold_off_ns": int(tree.get("hold-off-time", 0)) * 10**6,
    }
    wait = tree.get("wait-to-revert-time", {})
    if "value" in wait:
        unit = wait.get("unit")
        if unit not in _UNITS_NS:
            raise Problem("malformed", f"wait-to-revert-time: expected a unit of {', '.join(_UNITS_NS)}, found {unit}")
        found["wait_ns"] = int(wait["value"]) * _UNITS_NS[unit]
    return found
