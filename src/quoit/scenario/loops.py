"""Closed loops of a network file become elements. A file that names none has none, and no arbiter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from quoit.connectivity.tester import BorderTester
from quoit.fabric.links.profile import OVER_PAIRS, BB84Profile, Profile
from quoit.model.spectrum import centre_of
from quoit.orchestration.loops.buffer import BufferLoop, SharedDevice
from quoit.orchestration.loops.causes import Optics
from quoit.orchestration.loops.channel import LinkFacts
from quoit.orchestration.loops.domains import Benchmark, DomainLoop
from quoit.orchestration.loops.fidelity import FidelityLoop, TestRounds
from quoit.orchestration.loops.noise import NoiseLoop, NoisePolicy
from quoit.orchestration.loops.places import Guards
from quoit.orchestration.loops.restore import RestoreLoop
from quoit.orchestration.loops.works import DrainLoop, WorksLoop
from quoit.planes.loop import LoopPlan
from quoit.planes.loop_locks import LoopArbiter
from quoit.runtime.element import Element
from quoit.scenario import schema
from quoit.scenario.entanglement import memory_plan
from quoit.scenario.light import LightSide
from quoit.scenario.loop_check import borders_of
from quoit.service.api import eme

ISOLATION_DB = 100.0


class LoopSide:
    """Everything about loops that the assembly needs."""

    def __init__(
        self, network: schema.NetworkFile, place: str, profile_of: Callable[[schema.Link], Profile], light: LightSide
    ) -> None:
        self._n = network
        self._light = light
        self._place = place
        self._profile_of = profile_of

    def elements(self) -> list[Element]:
        """All loops, and the arbiter of their locks."""
        domains = list(self._for_domains())
        loops = [*self._for_links(), *self._for_devices(), *self._for_pairs(), *domains]
        if domains:
            loops.append(BorderTester(self._place, self._light.inventory()))
        return [LoopArbiter(self._place), *loops] if loops else []

    def _for_links(self) -> Iterator[Element]:
        loops = self._n.loops
        # The optical network restores its services itself, and has them give way to works.
        served = {service.link for service in self._n.plant.services}
        served |= {link.id for link in self._n.links if link.on_demand is not None}
        for link in self._n.links:
            if loops.works is not None:
                yield self._for_works(link, loops.works, link.id in served)
            if link.protocol in OVER_PAIRS:
                continue  # it has no light of its own
            if loops.noise is not None and link.protocol != "rated":  # a rate that is given has no noise
                noise = loops.noise
                policy = NoisePolicy(noise.most_loss_db, noise.lower_db)
                yield NoiseLoop(self._place, plan_of(f"noise:{link.id}", noise), self._facts(link, noise), policy)
            if loops.restore is not None and link.id not in served:
                restore = loops.restore
                plan, facts = plan_of(f"restore:{link.id}", restore), self._facts(link, restore)
                yield RestoreLoop(self._place, plan, facts, restore.most_loss_db)

    def _for_works(self, link: schema.Link, works: schema.WorksLoopSection, served: bool) -> Element:
        """What has a link out of the way of works: it moves light that is nobody else's to move."""
        plan = plan_of(f"works:{link.id}", works)
        if served or link.protocol in OVER_PAIRS:
            return DrainLoop(self._place, plan, link.id, works.lead_ns)
        return WorksLoop(self._place, plan, self._facts(link, works), works.most_loss_db, works.lead_ns)

    def _for_devices(self) -> Iterator[Element]:
        buffer = self._n.loops.buffer
        for one in buffer.shared if buffer is not None else ():
            assert buffer is not None
            device = SharedDevice(one.node, tuple(one.links), one.low_bits, one.enough_bits)
            yield BufferLoop(self._place, plan_of(f"buffer:{one.node}", buffer), device)

    def _for_pairs(self) -> Iterator[Element]:
        fidelity = self._n.loops.fidelity
        for link in self._n.pair_links if fidelity is not None else ():
            assert fidelity is not None
            a, b = link.between
            right = [memory_plan(memories).model.readout for n in (a, b) if (memories := self._n.nodes[n].memories)]
            readout = prod(2 * r - 1 for r in right)
            tests = TestRounds(
                link.id, a, b, fidelity.tests, fidelity.slots, readout, link.calibration_ns, self._entities()
            )  # fmt: skip
            yield FidelityLoop(self._place, plan_of(f"fidelity:{link.id}", fidelity), tests)

    def _for_domains(self) -> Iterator[Element]:
        """A loop for each optical domain that light of others can cross."""
        section = self._n.loops.domains
        for domain, borders in borders_of(self._n).items() if section is not None else ():
            assert section is not None
            if len(borders) < 2:
                continue
            inside = frozenset(s.id for s in self._n.spans if {self._n.domain_of(n) for n in s.between} == {domain})
            bench = Benchmark(
                domain, borders, inside, section.clicks, section.windows, section.back, section.margin_db,
                10 ** (section.noise_margin_db / 10), section.latency_margin_ns, section.lowest, section.step,
            )  # fmt: skip
            yield DomainLoop(self._place, plan_of(f"domain:{domain}", section), bench)

    def _entities(self) -> tuple[str, ...]:
        """Those who know units of entangled states, and what these rest on."""
        return tuple(eme(name) for name, node in self._n.nodes.items() if node.memories is not None)

    def _facts(self, link: schema.Link, loop: schema.MovingLoop) -> LinkFacts:
        plant = self._n.plant
        isolation_db = link.spectrum.isolation_db if link.spectrum is not None else ISOLATION_DB
        guards = Guards(plant.guard_mhz, plant.quantum_guard_mhz)
        profile = self._profile_of(link)
        optics = None
        if isinstance(profile, BB84Profile):
            photons = sum(mu * share for mu, share in zip(profile.mu, profile.p_intensity, strict=True))
            optics = Optics(profile.gate_s, photons)
        elsewhere = tuple(centre_of(nm) for nm in loop.wavelengths)
        return LinkFacts(link.id, isolation_db, guards, optics, elsewhere, self._n.telemetry_interval_ns)


def keepers_of(network: schema.NetworkFile) -> dict[str, tuple[str, ...]]:
    """The loops that look after each link, by name."""
    loops = network.loops
    served = {service.link for service in network.plant.services}
    found = {}
    for link in network.links:
        own = link.protocol not in OVER_PAIRS
        there = {
            "noise": loops.noise is not None and own and link.protocol != "rated",
            "restore": loops.restore is not None and own and link.id not in served and link.on_demand is None,
            "works": loops.works is not None,
        }
        found[link.id] = tuple(f"{kind}:{link.id}" for kind, is_there in there.items() if is_there)
    return found


def looked_after(network: schema.NetworkFile) -> frozenset[str]:
    """Links that a loop has out of the way of planned works."""
    return frozenset() if network.loops.works is None else frozenset(link.id for link in network.links)


def plan_of(name: str, loop: schema.LoopSection) -> LoopPlan:
    """How a loop of the file runs."""
    return LoopPlan(
        name,
        loop.period_ns,
        loop.hold_off_ns,
        loop.verify_ns,
        loop.cooldown_ns,
        loop.priority,
        loop.budget,
        loop.budget_time_ns,
        loop.dry_run,
        loop.approval,
    )
