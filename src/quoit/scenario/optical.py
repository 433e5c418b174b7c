"""The optical network's control in a network file: its controllers, and the services and works that the file has."""

from __future__ import annotations

from importlib.metadata import entry_points

from quoit.connectivity.api import (
    CLASSICAL,
    PACKET,
    QUANTUM,
    AnnounceWorks,
    Companion,
    Limits,
    OpenService,
    Restoration,
)
from quoit.connectivity.otn import OtnController
from quoit.connectivity.packet_ports import Switching
from quoit.connectivity.packets import PacketSwitches
from quoit.connectivity.pnc import ProvisioningController
from quoit.connectivity.routing import Computation
from quoit.connectivity.works import PlannedWorks
from quoit.engine.world import ISOLATION_DB
from quoit.fabric.links.profile import OVER_PAIRS
from quoit.orchestration.optical import Lightable
from quoit.runtime.element import Element
from quoit.scenario import schema
from quoit.scenario.light import LightSide
from quoit.scenario.loops import looked_after


def computation_of(name: str) -> Computation:
    """The path computation of an entry point. ValueError if there is none."""
    known = {entry.name: entry for entry in entry_points(group="quoit.path_computation")}
    if name not in known:
        raise ValueError(f"plant.path_computation: expected one of {', '.join(sorted(known))}; found {name!r}")
    found: Computation = known[name].load()
    return found


def optical_elements(network: schema.NetworkFile, light: LightSide, center: str) -> list[Element]:
    """Controllers of the optical domains and the coordinator above them, if the file speaks of its plant; and the
    calendar of works, which all files have. Optical domains are the network's domains."""
    if not network.has_plant:
        return [calendar(network, light, center)]
    computation = computation_of(network.plant.path_computation)
    domain_of = {node: network.domain_of(node) for node in network.nodes}
    out: list[Element] = []
    for domain in sorted(set(domain_of.values())):
        place = next(node for node, where in domain_of.items() if where == domain)
        spans = [s.id for s in network.spans if {domain_of[node] for node in s.between} == {domain}]
        out.append(ProvisioningController(place, domain, light.inventory(), spans, computation))
    wishes = tuple(wish_of(network, service) for service in network.plant.services)
    out.append(OtnController(center, light.inventory(), domain_of, computation, wishes))
    works = tuple(
        AnnounceWorks(w.name, tuple(w.spans), w.at_ns, w.until_ns, w.lead_ns, w.force) for w in network.plant.works
    )
    out.append(calendar(network, light, center, works))
    p = network.plant.packets
    switching = Switching(
        p.processing_ns,
        p.switching_ns,
        p.channels,
        p.policy,
        p.loop_ns,
        p.loop_db,
        p.turns,
        p.lines,
        p.memories,
        p.t2_ns,
    )
    out.append(PacketSwitches(center, light.inventory(), switching, dict.fromkeys(p.links, PACKET)))
    return out


def calendar(
    network: schema.NetworkFile, light: LightSide, center: str, works: tuple[AnnounceWorks, ...] = ()
) -> PlannedWorks:
    """The calendar of works, with what is planned from the start."""
    links = frozenset(link.id for link in network.links)
    otn = network.has_plant
    moved = links if network.coordination is not None else frozenset()
    after = looked_after(network)
    return PlannedWorks(center, light.inventory(), works, otn=otn, links=links, looked_after=after, moved=moved)


def lightable(network: schema.NetworkFile) -> tuple[Lightable, ...]:
    """Links that light may be asked for: on demand, or when dark, if nobody restores them."""
    served = {service.link for service in network.plant.services}
    restored = network.loops.restore is not None or network.coordination is not None
    found = []
    for link in network.links:
        asked = link.on_demand
        if link.protocol in OVER_PAIRS or link.id in served or (asked is None and restored):
            continue
        (a, b), limits, companion = link.between, Limits(), None
        if asked is not None:
            limits = Limits(
                max_loss_db=asked.max_loss_db, max_noise_hz=asked.max_noise_hz, max_latency_ns=asked.max_latency_ns
            )
            given = asked.companion
            companion = None if given is None else Companion(given.width_mhz, given.launch_dbm)
        isolation = link.spectrum.isolation_db if link.spectrum is not None else ISOLATION_DB
        found.append(Lightable(link.id, a, b, isolation, limits, companion, asked is not None))
    return tuple(found)


def wish_of(network: schema.NetworkFile, given: schema.ConnectivityService) -> OpenService:
    """A service of the file as its customer asks for it."""
    link = next((link for link in network.links if link.id == given.link), None)
    a, b = link.between if link is not None else (given.source or "", given.to or "")
    isolation = link.spectrum.isolation_db if link is not None and link.spectrum is not None else ISOLATION_DB
    companion = given.companion
    again = given.restoration
    return OpenService(
        given.name,
        CLASSICAL if link is None else QUANTUM,
        a,
        b,
        given.link or "",
        given.width_mhz,
        given.launch_dbm,
        isolation,
        Limits(
            given.objective,
            given.max_loss_db,
            given.max_latency_ns,
            given.max_switches,
            given.max_noise_hz,
            tuple(given.avoid),
        ),
        None if companion is None else Companion(companion.width_mhz, companion.launch_dbm),
        coroute=given.coroute or "",
        apart_from=given.apart_from or "",
        start_ns=given.at_ns,
        end_ns=given.until_ns,
        restoration=Restoration(again.enabled, again.hold_off_ns, again.revertive, again.wait_ns),
    )
