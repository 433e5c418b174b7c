"""From the network's values to TAPI 2.4.0's tree, and from what a client configured to wishes; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.query import instant_of
from quoit.interfaces.restconf.schema import Tree
from quoit.interfaces.tapi.optics import Link, Network, Node, PathWish, Service, Sip, Wish

CONTEXT = "tapi-common:context"
CONNECTIVITY = "tapi-connectivity:connectivity-context"
PATHS = "tapi-path-computation:path-computation-context"
TOPOLOGY = "tapi-topology:topology-context"
NOTIFICATIONS = "tapi-notification:notification-context"
LAYER = "PHOTONIC_MEDIA"
MODULES = (
    "tapi-common",
    "tapi-topology",
    "tapi-connectivity",
    "tapi-path-computation",
    "tapi-notification",
    "tapi-photonic-media",
)
_UP = {"administrative-state": "UNLOCKED", "lifecycle-state": "INSTALLED"}


def derived(uuid: str, *names: str) -> str:
    """The uuid of something that belongs to another and has none of its own (RFC 9562, version 5)."""
    return str(uuid5(UUID(uuid), "/".join(names)))


def _state(up: bool) -> dict[str, str]:
    return {**_UP, "operational-state": "ENABLED" if up else "DISABLED"}


def _name(kind: str, text: str) -> list[dict[str, str]]:
    return [{"value-name": kind, "value": text}]


def _number(value: float) -> str:
    return f"{value:.6g}"


Routes = Mapping[str, tuple[tuple[str, ...], ...]]
"""Routes by the uuid of what asked for them, best first, each as uuids of links."""


def context_tree(network: Network, services: Mapping[str, Service], paths: Routes, answers: Routes) -> dict[str, Any]:
    """State of the context: SIPs, topology, how services stand, what was computed for path computation services that
    are configured (`paths`), and as answers to operations."""
    context: dict[str, Any] = {
        "service-interface-point": [_sip(sip) for sip in network.sips],
        TOPOLOGY: {"topology": [_topology(network)]},
    }
    if services:
        context[CONNECTIVITY] = {
            "connectivity-service": [{"uuid": uuid, **service_state(uuid, s)} for uuid, s in services.items()]
        }
        connections = [_connection(network, uuid, s) for uuid, s in services.items() if s.route]
        if connections:
            context[CONNECTIVITY]["connection"] = connections
    if paths or answers:
        both = {**answers, **paths}
        context[PATHS] = {
            "path": [
                path_tree(network, uuid, place, links)
                for uuid, found in both.items()
                for place, links in enumerate(found)
            ]
        }
    if paths:
        context[PATHS]["path-comp-service"] = [
            {"uuid": uuid, "path": [{"path-uuid": derived(uuid, str(place))} for place in range(len(found))]}
            for uuid, found in paths.items()
        ]
    return {CONTEXT: context}


def _sip(sip: Sip) -> dict[str, Any]:
    return {
        "uuid": sip.uuid,
        "name": _name("SIP_NAME", sip.name),
        "layer-protocol-name": LAYER,
        "direction": "BIDIRECTIONAL",
        **_state(True),
        "supported-cep-layer-protocol-qualifier-instances": [
            {
                "layer-protocol-qualifier": "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC",
                "number-of-cep-instances": "1",
            }
        ],
    }


def _topology(network: Network) -> dict[str, Any]:
    return {
        "uuid": network.topology,
        "name": _name("TOPOLOGY_NAME", network.name),
        "layer-protocol-name": [LAYER],
        "node": [_node(network, node) for node in network.nodes],
        "link": [_link(network, link) for link in network.links],
    }


def _node(network: Network, node: Node) -> dict[str, Any]:
    points = [_point(derived(link.uuid, node.uuid), node.up) for link in network.links if node.uuid in link.ends]
    for sip in network.sips:
        if sip.node == node.uuid:
            mapped = {"mapped-service-interface-point": [{"service-interface-point-uuid": sip.uuid}]}
            points.append({**_point(sip_point(sip), node.up), **mapped})
    return {
        "uuid": node.uuid,
        "name": _name("NODE_NAME", node.name),
        "layer-protocol-name": [LAYER],
        **_state(node.up),
        "cost-characteristic": [{"cost-name": "HOP", "cost-value": "1"}],
        "latency-characteristic": [{"traffic-property-name": "FIXED_LATENCY", "fixed-latency-characteristic": "0"}],
        "risk-parameter-pac": {
            "risk-characteristic": [{"risk-characteristic-name": "SITE", "risk-identifier-list": [node.name]}]
        },
        **({"owned-node-edge-point": points} if points else {}),
    }


def sip_point(sip: Sip) -> str:
    """The uuid of the node edge point that a SIP is mapped to."""
    return derived(sip.uuid, sip.node)


def _point(uuid: str, up: bool) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "layer-protocol-name": LAYER,
        "direction": "BIDIRECTIONAL",
        "link-port-role": "SYMMETRIC",
        **_state(up),
    }


def _link(network: Network, link: Link) -> dict[str, Any]:
    row: dict[str, Any] = {
        "uuid": link.uuid,
        "name": _name("LINK_NAME", link.name),
        "layer-protocol-name": [LAYER],
        "direction": "BIDIRECTIONAL",
        **_state(link.up),
        "node-edge-point": [
            {"topology-uuid": network.topology, "node-uuid": end, "node-edge-point-uuid": derived(link.uuid, end)}
            for end in link.ends
        ],
        "cost-characteristic": [{"cost-name": name, "cost-value": _number(cost)} for name, cost in link.costs.items()],
        "latency-characteristic": [
            {
                "traffic-property-name": "FIXED_LATENCY",
                "fixed-latency-characteristic": f"{_number(link.latency_us)} us",
            }
        ],
        # Two of the layers are the least that the module lets a link have.
        "transitioned-layer-protocol-name": [LAYER, "DIGITAL_OTN"],
        "validation-mechanism": [{"validation-mechanism": "MANUAL"}],
    }
    if link.risks:
        row["risk-characteristic"] = [{"risk-characteristic-name": "DUCT", "risk-identifier-list": list(link.risks)}]
    return row


def service_state(uuid: str, service: Service) -> dict[str, Any]:
    """The state leaves of a connectivity service."""
    row: dict[str, Any] = {
        "operational-state": "ENABLED" if service.enabled else "DISABLED",
        "lifecycle-state": service.lifecycle.value,
    }
    if service.route:
        row["connection"] = [{"connection-uuid": derived(uuid, "connection")}]
    return row


def _connection(network: Network, uuid: str, service: Service) -> dict[str, Any]:
    """The connection from end to end: its end points are at the two nodes where the route ends. Connections of single
    switches are not shown."""
    first, last = route_ends(network, service.route)
    links = (service.route[0], service.route[-1])
    return {
        "uuid": derived(uuid, "connection"),
        "layer-protocol-name": LAYER,
        "direction": "BIDIRECTIONAL",
        "operational-state": "ENABLED" if service.enabled else "DISABLED",
        "lifecycle-state": service.lifecycle.value,
        "connection-end-point": [
            {
                "topology-uuid": network.topology,
                "node-uuid": node,
                "node-edge-point-uuid": derived(link, node),
                "connection-end-point-uuid": derived(uuid, node),
            }
            for node, link in zip((first, last), links, strict=True)
        ],
    }


def route_ends(network: Network, route: tuple[str, ...]) -> tuple[str, str]:
    """The nodes where a route begins and ends."""
    ends = {link.uuid: link.ends for link in network.links}
    if len(route) == 1:
        return ends[route[0]]
    first, last = ends[route[0]], ends[route[-1]]
    begin = first[0] if first[1] in ends[route[1]] else first[1]
    end = last[1] if last[0] in ends[route[-2]] else last[0]
    return begin, end


def path_tree(network: Network, uuid: str, place: int, links: tuple[str, ...]) -> dict[str, Any]:
    """A computed path, the `place`th of the path computation service `uuid`."""
    by_uuid = {link.uuid: link for link in network.links}
    names = dict.fromkeys(name for link in links for name in by_uuid[link].costs)
    sums = {name: sum(by_uuid[link].costs.get(name, 0.0) for link in links) for name in names}
    latency = sum(by_uuid[link].latency_us for link in links)
    return {
        "uuid": derived(uuid, str(place)),
        "layer-protocol-name": LAYER,
        "direction": "BIDIRECTIONAL",
        "link": [{"topology-uuid": network.topology, "link-uuid": link} for link in links],
        "routing-constraint": {
            "cost-characteristic": [{"cost-name": n, "cost-value": _number(cost)} for n, cost in sums.items()],
            "latency-characteristic": [
                {"traffic-property-name": "FIXED_LATENCY", "fixed-latency-characteristic": f"{_number(latency)} us"}
            ],
        },
    }


# -- what clients ask for ----------------------------------------------------------------------------------


def wishes_of(config: Tree) -> dict[str, Wish]:
    """Connectivity services of a configuration, by uuid. Raises RestconfError for ends or times that make no sense."""
    rows = config.get(CONTEXT, {}).get(CONNECTIVITY, {}).get("connectivity-service", [])
    return {row["uuid"]: _wish(row) for row in rows}


def _wish(row: Tree) -> Wish:
    schedule = row.get("connectivity-constraint", {}).get("schedule", {})
    start, end = (instant_of(schedule[k]) if k in schedule else None for k in ("start-time", "end-time"))
    if start is not None and end is not None and end <= start:
        raise RestconfError("invalid-value", f"service {row['uuid']} ends before it starts")
    return Wish(row["uuid"], ends_of(row), start, end, row)


def path_wishes_of(config: Tree) -> dict[str, PathWish]:
    """Path computation services of a configuration, by uuid."""
    rows = config.get(CONTEXT, {}).get(PATHS, {}).get("path-comp-service", [])
    return {row["uuid"]: PathWish(ends_of(row), row) for row in rows}


def ends_of(row: Tree) -> tuple[str, str]:
    """The two SIPs of a service's end points."""
    points = [
        p.get("service-interface-point", {}).get("service-interface-point-uuid") for p in row.get("end-point", ())
    ]
    if len(points) != 2 or None in points or points[0] == points[1]:
        raise RestconfError("invalid-value", "expected two end points, each at a service interface point of its own")
    return points[0], points[1]
