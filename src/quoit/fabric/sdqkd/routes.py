"""Flows as virtual links of ETSI GS QKD 015, and back: what a controller writes at each node, and what it finds there.

A flow of one direction is a VIRT link with one identifier at all its nodes. At its first node there is no previous hop,
at its last no next one. An INTERNAL application at each node names the flow (the relay's entry) and the physical links
that it rides on: the one that goes on, then the one that comes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from quoit.fabric.api import Flow
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.edits import flow_of
from quoit.fabric.sdqkd.tree import FLOW_URN, App, End, Link, Node, Qos


@dataclass(frozen=True)
class Hop:
    """A flow at one node: a virtual link, and the application that it is."""

    link: Link
    app: App


class Identifiers:
    """Identifiers of nodes and physical links as their agents tell them; what no agent has told follows from names, and
    so do those that a controller gives."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.nodes: dict[str, str] = {}
        self.links: dict[str, str] = {}

    def node(self, name: str) -> str:
        return self.nodes.get(name) or tree.id_of(self.network, "node", name)

    def name_of(self, qkdn_id: str) -> str | None:
        """A node's name by the identifier that its agent told."""
        return next((name for name, known in self.nodes.items() if known == qkdn_id), None)

    def link(self, name: str) -> str:
        return self.links.get(name) or tree.id_of(self.network, "link", name)

    def flow(self, src: str, dst: str, name: str) -> str:
        """Of a flow's virtual link."""
        return tree.id_of(self.network, "flow", f"{src}\n{dst}\n{name}")


def hop_at(ids: Identifiers, flow: Flow, node: str) -> Hop:
    """What is to stand at one of the flow's nodes."""
    at, nodes = flow.nodes.index(node), flow.nodes
    before = nodes[at - 1] if at else None
    after = nodes[at + 1] if at + 1 < len(nodes) else None
    qkdl_id = ids.flow(flow.src, flow.dst, flow.name)
    first, last = (flow.src, flow.dst) if after is not None else (flow.dst, flow.src)
    rides = [flow.links[at]] if after is not None else []
    rides += [flow.links[at - 1]] if before is not None else []
    rate = tree.rate(flow.offered_bps) if flow.name else 0  # what is offered is reserved for named flows alone
    app_id = tree.id_of(ids.network, "flow application", qkdl_id)
    link = Link(
        qkdl_id,
        qkdl_local=End(ids.node(first)),
        qkdl_remote=End(ids.node(last)),
        qkdl_type=tree.VIRT,
        qkdl_applications=(app_id,),
        virt_prev_hop=None if before is None else ids.node(before),
        virt_next_hop=() if after is None else (ids.node(after),),
        virt_bandwidth=rate,
    )
    app = App(
        app_id,
        app_type=tree.INTERNAL,
        server_app_id=FLOW_URN + flow.name,
        app_qos=Qos(min_bandwidth=rate),
        backing_qkdl_id=tuple(ids.link(name) for name in rides),
        local_qkdn_id=ids.node(first),
        remote_qkdn_id=ids.node(last),
    )
    return Hop(link, app)


def with_hop(node: Node, hop: Hop) -> Node:
    return node.with_lists(
        links={**node.links, hop.link.qkdl_id: hop.link}, apps={**node.apps, hop.app.app_id: hop.app}
    )


def without_link(node: Node, qkdl_id: str) -> Node:
    """The node without a virtual link and the applications that are nothing but it."""
    links = node.links
    gone = links.pop(qkdl_id, None)
    mine = () if gone is None else gone.qkdl_applications
    apps = {i: app for i, app in node.apps.items() if i not in mine or app.app_type != tree.INTERNAL}
    return node.with_lists(links=links, apps=apps)


def is_flow(node: Node, link: Link) -> bool:
    """Whether a virtual link is one that a controller of ours wrote: an application says which flow it is."""
    apps = node.apps
    named = (apps[i].server_app_id or "" for i in link.qkdl_applications if i in apps)
    return link.qkdl_type == tree.VIRT and any(name.startswith(FLOW_URN) for name in named)


def reconciled(ids: Identifiers, node: Node, name: str, flows: Iterable[Flow]) -> Node:
    """The node's configuration with these flows' hops and no other flow's; what is not a flow stays as it is."""
    hops = {hop.link.qkdl_id: hop for flow in flows if name in flow.nodes for hop in [hop_at(ids, flow, name)]}
    for qkdl_id, link in node.links.items():
        if is_flow(node, link) and qkdl_id not in hops:
            node = without_link(node, qkdl_id)
    for hop in hops.values():
        if node.links.get(hop.link.qkdl_id) != hop.link or node.apps.get(hop.app.app_id) != hop.app:
            node = with_hop(node, hop)
    return node


def flows_found(ids: Identifiers, nodes: Mapping[str, Node], *, unclaimed: bool = False) -> list[Flow]:
    """Flows that stand whole in these nodes' configurations, from the first node to the last, in the order of their
    ends and names. `unclaimed`: also virtual links that no application claims, as flows without a name; others than we
    may leave their last node without an entry, since nothing is forwarded there."""
    name_of = {node.qkdn_id: name for name, node in nodes.items()}
    names = {ids.link(device): device for node in nodes.values() for device in _devices(node)}
    found = []
    for name, node in nodes.items():
        for link in node.links.values():
            if link.qkdl_type != tree.VIRT or link.virt_prev_hop is not None or not link.virt_next_hop:
                continue
            if unclaimed or is_flow(node, link):
                flow = _followed(link, name, nodes, name_of, names, unclaimed)
                if flow is not None:
                    found.append(flow)
    return sorted(found, key=lambda flow: (flow.src, flow.dst, flow.name))


def _devices(node: Node) -> list[str]:
    points = (one.qkdi_att_point for one in node.interfaces.values())
    return [point.device for point in points if point is not None and point.device is not None]


def _followed(
    begins: Link,
    first: str,
    nodes: Mapping[str, Node],
    name_of: Mapping[str, str],
    names: Mapping[str, str],
    unclaimed: bool,
) -> Flow | None:
    remote = begins.qkdl_remote
    last = name_of.get((remote.qkdn_id if remote is not None else None) or "")
    way, links, here = [first], list[str](), first
    while True:
        link = nodes[here].links.get(begins.qkdl_id)
        if link is None and unclaimed and here == last:
            break
        if link is None or not link.enabled:
            return None
        if not link.virt_next_hop:
            break
        there = name_of.get(link.virt_next_hop[0])
        apps = nodes[here].apps
        rides = [i for a in link.qkdl_applications if a in apps for i in apps[a].backing_qkdl_id]
        device = names.get(rides[0]) if rides else _carrier(nodes[here], link.virt_next_hop[0]) if unclaimed else None
        if device is None or there is None or there in way:
            return None
        links.append(device)
        way.append(there)
        here = there
    if here != last or len(way) < 2:
        return None
    name = flow_of(nodes[first], begins, "" if unclaimed else None)
    return Flow(first, here, 0, tuple(way), tuple(links), float(begins.virt_bandwidth or 0), name)


def _carrier(node: Node, next_hop: str) -> str | None:
    """The optical path to the next hop of a virtual link that names none, chosen as the agent does (`edits.wanted`)."""
    to_it = (
        link
        for link in node.links.values()
        if link.qkdl_type == tree.PHYS
        and link.enabled
        and link.qkdl_remote is not None
        and link.qkdl_remote.qkdn_id == next_hop
    )
    devices = (_device(node, link) for link in to_it)
    return min((device for device in devices if device is not None), default=None)


def _device(node: Node, link: Link) -> str | None:
    """The optical path that a physical link's module is attached to."""
    number = link.qkdl_local.qkdi_id if link.qkdl_local is not None else None
    interface = node.interfaces.get(number) if number is not None else None
    return interface.qkdi_att_point.device if interface is not None and interface.qkdi_att_point is not None else None


def with_turn(node: Node, turn: tree.Turn) -> Node:
    return replace(node, control=turn)
