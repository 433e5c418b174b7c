"""Who coordinates the strata: a network file's switch becomes an element of the Fabric's control, or of Service's (D4).

A file that does not say has neither: links stay where they were commissioned, unless a closed loop moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quoit.connectivity.api import CustomerLink, CustomerPlan
from quoit.fabric.coordination import FabricCoordinator
from quoit.fabric.links.profile import OVER_PAIRS
from quoit.model.spectrum import ANCHOR_MHZ, CENTRE_STEP_MHZ, centre_of
from quoit.planes.loop_locks import LoopArbiter
from quoit.runtime.element import Element
from quoit.scenario import schema
from quoit.scenario.loop_check import Found
from quoit.service.coordination import ServiceCoordinator

ISOLATION_DB = 100.0


def coordination_elements(
    network: schema.NetworkFile,
    place: str,
    spans_of: Callable[[schema.Link], tuple[str, ...]],
    through_air: Callable[[tuple[str, ...]], bool],
    arbiter: bool,
) -> Iterator[Element]:
    """The coordinator; with an `arbiter` of locks, unless closed loops have brought one."""
    asked = network.coordination
    if asked is None:
        return
    plan = CustomerPlan(
        tuple(_links(network, spans_of, through_air)),
        tuple(dict.fromkeys(_on_raster(centre_of(nm)) for nm in asked.wavelengths)),
        asked.most_loss_db,
        asked.lead_ns,
        asked.hold_off_ns,
        network.telemetry_interval_ns,
        asked.verify_ns,
        asked.cooldown_ns,
        asked.budget,
        asked.budget_time_ns,
        asked.priority,
    )
    if asked.by == "fabric":
        yield FabricCoordinator(place, plan)
    else:
        yield ServiceCoordinator(place, plan, {kme.id: kme.node for kme in network.all_kmes()})
    if arbiter:
        yield LoopArbiter(place)


def _links(
    network: schema.NetworkFile,
    spans_of: Callable[[schema.Link], tuple[str, ...]],
    through_air: Callable[[tuple[str, ...]], bool],
) -> Iterator[CustomerLink]:
    """Links with light of their own. What goes through air comes and goes by itself, and has no other way."""
    kept = {service.link for service in network.plant.services}
    kept |= {link.id for link in network.links if link.on_demand is not None}
    for link in network.links:
        spans = spans_of(link)
        if link.protocol in OVER_PAIRS or through_air(spans):
            continue
        isolation_db = link.spectrum.isolation_db if link.spectrum is not None else ISOLATION_DB
        noisy = link.protocol != "rated"  # a rate that is given has no noise
        a, b = link.between
        yield CustomerLink(link.id, a, b, spans, isolation_db, link.id in kept, noisy)


def _on_raster(centre_mhz: int) -> int:
    """The nearest centre of the flexible grid, which paths are computed on."""
    return ANCHOR_MHZ + round((centre_mhz - ANCHOR_MHZ) / CENTRE_STEP_MHZ) * CENTRE_STEP_MHZ


def check_coordination(network: schema.NetworkFile) -> Found:
    """What a schema cannot see of a network file's switch."""
    if network.coordination is None:
        return
    if not network.has_plant:
        yield (
            ("coordination",),
            "other light is asked of the optical network's controller, which this file has not; add a section plant, "
            "be it empty, or leave coordination out",
        )
    if network.policies.control == "external":
        yield (
            ("coordination", "by"),
            "the fabric is controlled from outside the twin (policies: control: external), where no switch of this "
            "file reaches; choose control direct or sdqkd, or leave coordination out",
        )
    if not any(link.protocol not in OVER_PAIRS for link in network.links):
        yield ("coordination",), "no link of this network has light of its own that could be moved; leave it out"
