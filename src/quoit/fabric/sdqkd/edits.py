"""What an edit of a node's configuration asks of its devices; what they cannot do is refused before anything is done.

A physical link is what a module's light makes possible: it may be created, switched off and deleted, but it cannot go
where the fibre does not. A virtual link is one entry of the relay's table at every node but its last.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from quoit.fabric.sdqkd.hardware import Hardware, Module
from quoit.fabric.sdqkd.tree import FLOW_URN, PHYS, VIRT, App, Interface, Link, Node
from quoit.model.problem import Problem


@dataclass(frozen=True)
class Entry:
    """Of the relay's table: keys from `src` to `dst` (names of nodes) of `flow` leave by `link`."""

    src: str
    dst: str
    flow: str
    link: str

    @property
    def route(self) -> tuple[str, str, str]:
        return self.src, self.dst, self.flow


@dataclass(frozen=True)
class Wanted:
    """What a configuration asks for: by link of the plant the identifier of the physical link and whether it runs;
    the relay's entries by virtual link; and which plant link each virtual link rides on."""

    runs: dict[str, tuple[str, bool]]
    entries: dict[str, Entry]


def refuse(detail: str) -> Problem:
    return Problem("config-refused", detail)


def wanted(hardware: Hardware, node: Node) -> Wanted:
    """What the configuration asks of the devices. Problem `config-refused` if they cannot do it."""
    if node.qkdn_id != hardware.qkdn_id:
        raise refuse(f"this is node {hardware.qkdn_id}; found qkdn_id {node.qkdn_id}")
    _check_interfaces(hardware, node)
    modules = {link.qkdl_id: _module(hardware, node, link) for link in node.links.values() if _type(link) is not VIRT}
    runs: dict[str, tuple[str, bool]] = {}
    for qkdl_id, module in modules.items():
        if module.link in runs:
            raise refuse(f"interface {module.number} has two links, {runs[module.link][0]} and {qkdl_id}")
        runs[module.link] = (qkdl_id, node.links[qkdl_id].enabled)
    entries: dict[str, Entry] = {}
    routes: dict[tuple[str, str, str], str] = {}
    for link in node.links.values():
        if link.qkdl_type != VIRT or not link.enabled:
            continue
        entry = _entry(hardware, node, link, modules)
        if entry is None:
            continue
        if (other := routes.setdefault(entry.route, link.qkdl_id)) != link.qkdl_id:
            raise refuse(f"virtual links {other} and {link.qkdl_id} are of the same route")
        entries[link.qkdl_id] = entry
    return Wanted(runs, entries)


def _type(link: Link) -> str:
    if link.qkdl_type not in (PHYS, VIRT):
        raise refuse(f"link {link.qkdl_id}: expected qkdl_type PHYS or VIRT, found {link.qkdl_type or 'none'}")
    return VIRT if link.qkdl_type == VIRT else PHYS


def _check_interfaces(hardware: Hardware, node: Node) -> None:
    for number, interface in node.interfaces.items():
        module = hardware.by_number.get(number)
        if module is None:
            installed = ", ".join(map(str, sorted(hardware.by_number))) or "none"
            raise refuse(f"there is no module {number}; installed: {installed}")
        if bare(interface) not in (hardware.interface(module), Interface(number)):
            raise refuse(f"interface {number} is not as the module is; leave out what the agent says of it")


def bare(interface: Interface) -> Interface:
    """Without state."""
    return replace(interface, qkdi_status=None)


def _module(hardware: Hardware, node: Node, link: Link) -> Module:
    """The module that makes a physical link; everything that is said of it must be true."""
    here, there = link.qkdl_local, link.qkdl_remote
    if here is None or here.qkdi_id is None:
        raise refuse(f"link {link.qkdl_id}: expected qkdl_local/qkdi_id, the module at this end; found none")
    module = hardware.by_number.get(here.qkdi_id)
    if module is None or here.qkdi_id not in node.interfaces:
        raise refuse(f"link {link.qkdl_id}: the node has no interface {here.qkdi_id}")
    is_so = hardware.link(module, link.qkdl_id)
    assert is_so.qkdl_remote is not None
    if there is None or (there.qkdn_id, there.qkdi_id) != (is_so.qkdl_remote.qkdn_id, is_so.qkdl_remote.qkdi_id):
        far = is_so.qkdl_remote
        raise refuse(
            f"link {link.qkdl_id}: the light of interface {module.number} goes to interface {far.qkdi_id} of node "
            f"{far.qkdn_id} ({module.far}), and not where qkdl_remote says"
        )
    if here.qkdn_id not in (None, hardware.qkdn_id):
        raise refuse(f"link {link.qkdl_id}: qkdl_local is this node, {hardware.qkdn_id}; found {here.qkdn_id}")
    if link.phys_qkd_role not in (None, is_so.phys_qkd_role):
        raise refuse(f"link {link.qkdl_id}: interface {module.number} is {module.role}, found {link.phys_qkd_role}")
    if link.phys_wavelength not in (None, is_so.phys_wavelength):
        tuned = is_so.phys_wavelength or "none that has a number"
        raise refuse(f"link {link.qkdl_id}: the module is fixed to channel {tuned}, found {link.phys_wavelength}")
    return module


def _entry(hardware: Hardware, node: Node, link: Link, modules: dict[str, Module]) -> Entry | None:
    """The relay's entry for a virtual link; None at its last node."""
    if not link.virt_next_hop:
        return None
    if len(link.virt_next_hop) > 1:
        raise refuse(f"link {link.qkdl_id}: a key is relayed to one next hop, found {len(link.virt_next_hop)}")
    src, dst = _ends(hardware, link)
    carrier = _carrier(hardware, node, link, modules)
    flow = flow_of(node, link, "" if hardware.unclaimed_routes else None)
    if not flow and not hardware.default_routes:
        raise refuse(
            f"link {link.qkdl_id}: keys without a reserved route go where the fabric's own controller sends them; "
            "leave out the application that claims them, or give the network file the policy 'control: sdqkd'"
        )
    return Entry(src, dst, flow, carrier.link)


def _ends(hardware: Hardware, link: Link) -> tuple[str, str]:
    """First and last node of a virtual link, by name."""
    local = link.qkdl_local.qkdn_id if link.qkdl_local is not None else None
    first = hardware.qkdn_id if link.virt_prev_hop is None else local
    last = link.qkdl_remote.qkdn_id if link.qkdl_remote is not None else None
    if link.virt_prev_hop is None and local not in (None, hardware.qkdn_id):
        raise refuse(f"link {link.qkdl_id} has no virt_prev_hop, so it begins here; found qkdl_local {local}")
    for what, found in (("qkdl_local/qkdn_id", first), ("qkdl_remote/qkdn_id", last)):
        if found is None or found not in hardware.name_of:
            raise refuse(f"link {link.qkdl_id}: expected {what} to be a node of the network, found {found or 'none'}")
    src, dst = hardware.name_of[str(first)], hardware.name_of[str(last)]
    if hardware.node == dst or src == dst:
        raise refuse(f"link {link.qkdl_id} ends at {dst}, and goes on or comes back there")
    return src, dst


def _carrier(hardware: Hardware, node: Node, link: Link, modules: dict[str, Module]) -> Module:
    """The physical link to the next hop: the one that an application of the link names, else the first that runs."""
    neighbour = hardware.name_of.get(link.virt_next_hop[0])
    ways = {i: m for i, m in modules.items() if m.far == neighbour and node.links[i].enabled}
    if not ways:
        name = neighbour or link.virt_next_hop[0]
        raise refuse(f"link {link.qkdl_id}: no enabled physical link of {hardware.node} leads to {name}")
    named = [i for app in _internal(node, link) for i in app.backing_qkdl_id]
    if named and named[0] not in ways:
        raise refuse(f"link {link.qkdl_id}: its backing link {named[0]} is no enabled link to {neighbour}")
    return ways[named[0]] if named else min(ways.values(), key=lambda module: module.link)


def _internal(node: Node, link: Link) -> list[App]:
    apps = node.apps
    return [apps[app_id] for app_id in link.qkdl_applications if app_id in apps]


def flow_of(node: Node, link: Link, unclaimed: str | None = None) -> str:
    """The name of the forwarding entries of a virtual link: what an application of it says, else `unclaimed`, or its
    identifier if that is None."""
    for app in _internal(node, link):
        if app.server_app_id is not None and app.server_app_id.startswith(FLOW_URN):
            return app.server_app_id.removeprefix(FLOW_URN)
    return link.qkdl_id if unclaimed is None else unclaimed
