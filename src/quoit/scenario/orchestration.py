"""Assembly of what is above the strata: orchestrators by the network's mode, and the keeper of intents."""

from __future__ import annotations

from collections.abc import Iterator

from quoit.model.urn import Namespace
from quoit.orchestration.api import OPTICAL, Interface, orchestrator
from quoit.orchestration.intents import IntentManager
from quoit.orchestration.optical import OpticalServiceManager
from quoit.orchestration.orchestrator import DomainPlan, Orchestrator
from quoit.orchestration.servicelinks import ServiceLinkManager
from quoit.runtime.element import Element
from quoit.scenario.loops import keepers_of
from quoit.scenario.optical import lightable
from quoit.scenario.schema import NetworkFile


def orchestration(network: NetworkFile, center: str) -> list[Element]:
    """One orchestrator for all domains, or one in each that asks the others; intents are kept in one place."""
    plans = [_plan(network, domain.name, domain.prefix) for domain in network.all_domains()]
    interfaces = {node: tuple(interfaces_of(network, node)) for node in network.nodes}
    joining = network.joining
    out: list[Element] = []
    if network.policies.orchestration == "hierarchical":
        out.append(Orchestrator(center, tuple(plans), (), interfaces, joining, otn=network.has_plant))
    else:
        for plan in plans:
            peers = tuple(other for other in plans if other.name != plan.name)
            place = plan.nodes[0] if plan.nodes else center
            out.append(Orchestrator(place, (plan,), peers, interfaces, joining, plan.name, network.has_plant))
    names = tuple(plan.name for plan in plans)
    period_ns = network.policies.intent_period_ns
    optical = OPTICAL if network.has_plant else None
    namespace, number = Namespace(network.nid), network.policies.control_instances
    keepers = keepers_of(network)
    out.append(
        IntentManager(
            center, names, namespace, period_ns=period_ns, optical=optical, keepers=keepers, controllers=number
        )
    )
    if network.has_plant:
        out.append(OpticalServiceManager(center, lightable(network)))
    out.append(ServiceLinkManager(center, names, number))
    return out


def orchestrator_of(network: NetworkFile, node: str | None = None) -> str:
    """The orchestrator to ask: the only one, or that of a node's domain (of the first domain, if no node is given)."""
    if network.policies.orchestration == "hierarchical":
        return orchestrator()
    return orchestrator(network.all_domains()[0].name if node is None else network.domain_of(node))


def interfaces_of(network: NetworkFile, node: str) -> Iterator[Interface]:
    """The quantum interfaces of a node, as its device would report them."""
    for link in network.links:
        if node in link.between:
            role = "sender" if link.between[0] == node else "receiver"
            yield Interface(f"qkd-{link.id}", link.id, role, link.protocol)


def _plan(network: NetworkFile, name: str, prefix: str) -> DomainPlan:
    nodes = tuple(node for node in network.nodes if network.domain_of(node) == name)
    kmes = tuple((kme.id, kme.node) for kme in network.all_kmes() if network.domain_of(kme.node) == name)
    return DomainPlan(name, prefix, nodes, kmes, network.policies.control_instances)
