"""A connectivity service as a TAPI 2.4.0 object: what a client would have configured to get it. Pure.

The inverse of `demands.asked_of`, for services that came about otherwise: from the network file, or asked for by the
quantum network. What TAPI has no place for, and `demands` reads from names and costs, is written there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quoit.interfaces.restconf.streams import instant_text
from quoit.interfaces.tapi.codec import LAYER
from quoit.interfaces.tapi.demands import COMPANION_DBM, LOSS_DB, MHZ, NOISE_CPS, QUANTUM_LINK, SWITCHES, Asked

SERVICE_NAME = "SERVICE_NAME"
MC_QUALIFIER = "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC"
MC_SPEC = "tapi-photonic-media:mcg-connectivity-service-end-point-spec"
Row = dict[str, Any]
_OBJECTIVES = {"loss": "MIN_WORK_ROUTE_COST", "latency": "MIN_WORK_ROUTE_LATENCY"}
_PERIODS = (("SECONDS", 10**9), ("MILLISECONDS", 10**6), ("MICROSECONDS", 10**3))


@dataclass(frozen=True, slots=True)
class Standing:
    """A service that stands and that no client configured. `ends`: (local id, uuid of the SIP) of both; `include`:
    links of a way that is prescribed, by uuid; `topology`: uuid of the topology that links and nodes are in."""

    uuid: str
    name: str
    ends: tuple[tuple[str, str], tuple[str, str]]
    asked: Asked
    topology: str
    start: datetime | None = None
    end: datetime | None = None
    include: tuple[str, ...] = ()


def service_object(standing: Standing) -> Row:
    """The object's configuration; its state is another matter."""
    asked = standing.asked
    row: Row = {
        "uuid": standing.uuid,
        "name": list(_names(standing)),
        "end-point": [_end_point(local, sip, asked) for local, sip in standing.ends],
    }
    parts = {
        "connectivity-constraint": _connectivity(standing),
        "routing-constraint": _routing(asked),
        "topology-constraint": _topology(standing),
        "resilience-constraint": _resilience(asked),
    }
    return row | {name: part for name, part in parts.items() if part}


def _names(standing: Standing) -> Iterable[dict[str, str]]:
    asked = standing.asked
    yield {"value-name": SERVICE_NAME, "value": standing.name}
    if asked.link is not None:
        yield {"value-name": QUANTUM_LINK, "value": asked.link}
    if asked.companion_dbm is not None:
        yield {"value-name": COMPANION_DBM, "value": _text(asked.companion_dbm)}


def _text(value: float) -> str:
    """The shortest that reads as the same number."""
    return repr(float(value))


def _end_point(local: str, sip: str, asked: Asked) -> Row:
    row: Row = {
        "local-id": local,
        "layer-protocol-name": LAYER,
        "layer-protocol-qualifier": MC_QUALIFIER,
        "direction": "BIDIRECTIONAL",
        "role": "SYMMETRIC",
        "service-interface-point": {"service-interface-point-uuid": sip},
    }
    if asked.width_mhz is not None:
        row["layer-protocol-constraint"] = [{"local-id": "photonic", MC_SPEC: _media_channel(asked)}]
    return row


def _media_channel(asked: Asked) -> Row:
    """One media channel: where it is to be, or how wide alone."""
    assert asked.width_mhz is not None
    pac: dict[str, Any] = {"local-id": "mc"}
    if asked.launch_dbm is not None:
        pac["power-management-config-pac"] = {"max-input-power": {"total-power": _power(asked.launch_dbm)}}
    if asked.centre_mhz is None:
        return {"mc-bandwidth-config-pac": [pac | {"spectrum-bandwidth": str(asked.width_mhz * MHZ)}]}
    centre, half = asked.centre_mhz * MHZ, asked.width_mhz * MHZ // 2
    edges = {"lower-frequency": str(centre - half), "upper-frequency": str(centre + half)}
    return {"mc-spectrum-config-pac": [pac | {"spectrum": edges}]}


def _power(dbm: float) -> str:
    """The module's decimal64 has so many digits."""
    text = f"{dbm:.7f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _connectivity(standing: Standing) -> Row:
    asked = standing.asked
    row: Row = {}
    times = {"start-time": standing.start, "end-time": standing.end}
    schedule = {name: instant_text(at) for name, at in times.items() if at is not None}
    if schedule:
        row["schedule"] = schedule
    if asked.coroute is not None:
        row["coroute-inclusion"] = {"connectivity-service-uuid": asked.coroute}
    if asked.apart_from is not None:
        row["diversity-exclusion"] = [{"connectivity-service-uuid": asked.apart_from}]
    return row


def _routing(asked: Asked) -> Row:
    row: Row = {}
    if asked.objective != "loss":
        row["route-objective-function"] = _OBJECTIVES[asked.objective]
    costs = {LOSS_DB: asked.max_loss_db, NOISE_CPS: asked.max_noise_cps, SWITCHES: asked.max_switches}
    rows = [{"cost-name": name, "cost-value": _text(value)} for name, value in costs.items() if value is not None]
    if rows:
        row["cost-characteristic"] = rows
    if asked.max_latency_ns is not None:
        row["max-allowed-delay"] = {"value": str(asked.max_latency_ns // 1000)}
    return row


def _topology(standing: Standing) -> list[Row]:
    def links(uuids: Iterable[str]) -> list[Row]:
        return [{"topology-uuid": standing.topology, "link-uuid": uuid} for uuid in uuids]

    row: Row = {}
    if standing.include:
        row["include-link"] = links(standing.include)
    if standing.asked.exclude_links:
        row["exclude-link"] = links(standing.asked.exclude_links)
    if standing.asked.exclude_nodes:
        row["exclude-node"] = [
            {"topology-uuid": standing.topology, "node-uuid": uuid} for uuid in standing.asked.exclude_nodes
        ]
    return [{"local-id": "limits", **row}] if row else []


def _resilience(asked: Asked) -> Row:
    if not asked.restore:
        return {"resilience-type": {"protection-type": "NO_PROTECTION"}}
    row: Row = {"resilience-type": {"protection-type": "DYNAMIC_RESTORATION"}}
    if asked.hold_off_ns:
        row["hold-off-time"] = str(-(-asked.hold_off_ns // 10**6))
    if asked.revertive:
        row["reversion-mode"] = "REVERTIVE"
        if asked.wait_ns is not None:
            unit, size = next(((u, s) for u, s in _PERIODS if asked.wait_ns % s == 0), _PERIODS[-1])
            row["wait-to-revert-time"] = {"value": str(asked.wait_ns // size), "unit": unit}
    return row
