"""The one place that knows every class: a network file becomes the elements of a running twin."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, cast

from quoit.connectivity.controller import ConnectivityController
from quoit.connectivity.meters import ConnectivityMeters
from quoit.connectivity.plant import Plant
from quoit.connectivity.upkeep import ConnectivityUpkeep
from quoit.engine.engine import Engine, LinkPlan
from quoit.engine.measured import MeasuredPlan
from quoit.engine.physics import fibre
from quoit.engine.world import World
from quoit.fabric.control_front import ControlFront
from quoit.fabric.controller import FabricController
from quoit.fabric.detection import BatteryPlan, promised_bell
from quoit.fabric.distill.estimation import Proof, Security
from quoit.fabric.exact_receiver import ExactReceiver
from quoit.fabric.exact_sender import ExactSender
from quoit.fabric.exact_talk import ExactPlan
from quoit.fabric.guard import GuardPlan
from quoit.fabric.kma import Kma, PoolPlan
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.fabric.links.pairs import E91
from quoit.fabric.links.profile import OVER_PAIRS, PROTOCOL_OF, Profile, RatedProfile, with_overrides
from quoit.fabric.links.receiver import Distillation, LinkProtocol, PairProtocol
from quoit.fabric.meters import FabricMeters, MeterPlan
from quoit.fabric.module import LinkEnds, ReceiverModule, SenderModule
from quoit.fabric.pair_module import PairSenderModule
from quoit.fabric.relay import Relay
from quoit.fabric.sdqkd_controller import SdqkdController
from quoit.fabric.southbound import LinkEntry
from quoit.fabric.standing_flows import StandingFlows
from quoit.fabric.upkeep import FabricUpkeep, UpkeepPlan
from quoit.model.secret import Secret
from quoit.model.urn import Namespace
from quoit.orchestration.assurance import AssuranceElement
from quoit.orchestration.footprint import FootprintElement
from quoit.orchestration.service_graph import AssurancePlan, AssuredLink
from quoit.planes.graph import Graph
from quoit.runtime import seeds
from quoit.runtime.context import Device
from quoit.runtime.element import Element
from quoit.runtime.kernel import Kernel
from quoit.runtime.tracing import SpanSink, TracedKernel
from quoit.runtime.wire import Message
from quoit.scenario.agents import sdqkd_agents
from quoit.scenario.coordination import coordination_elements
from quoit.scenario.energy import footprint_plan
from quoit.scenario.entanglement import EntanglementSide, MeasuredKeys, span_finder
from quoit.scenario.fate import Fate, Load, LoadPlan
from quoit.scenario.intrusion import DeniedControl
from quoit.scenario.light import LightSide
from quoit.scenario.loops import LoopSide
from quoit.scenario.optical import optical_elements
from quoit.scenario.orchestration import orchestration
from quoit.scenario.orders import customers
from quoit.scenario.pair_keys import PROTOCOLS, PairKeys, profile_of
from quoit.scenario.schema import Application, Event, Link, NetworkFile, PairLink
from quoit.scenario.strokes import cut_off, strokes_of
from quoit.scenario.thresholds import telemetry_plan
from quoit.service.access import AccessControl, Contract
from quoit.service.admission import AdmissionControl
from quoit.service.api import CloseSession, CloseUnit, OpenKeys, OpenSession, OpenUnit, TakeKeys
from quoit.service.calendar import Calendar
from quoit.service.controller import ServiceController
from quoit.service.directory import Attachment
from quoit.service.kme import App, Kme
from quoit.service.meters import ServiceMeters
from quoit.service.monitor import ServiceMonitor
from quoit.service.policy import KeyPolicy
from quoit.service.router import RoutingModule
from quoit.service.upkeep import ServiceUpkeep

BOOTSTRAP_BYTES = 16 + 16 * 64
"""Key that a link is commissioned with for its own messages: a hash key and the pads of 64 blocks."""

BLOCKS_OF_A_LIFE = 2**32
"""More blocks than any link makes between two starts of a twin."""

TRACED: frozenset[type[Message]] = frozenset({OpenKeys, TakeKeys, OpenUnit, CloseUnit, OpenSession, CloseSession})
"""Requests that are followed through all strata in a twin that traces."""

StoreMaker = Callable[[str], Device]


@dataclass(frozen=True)
class Twin:
    """An assembled network. `kernel` holds all elements; `kmes` maps each KME to its node."""

    network: NetworkFile
    kernel: Kernel
    kmes: dict[str, str]
    attachments: dict[str, Attachment]
    stores: dict[str, Device]
    policy: KeyPolicy
    labels: dict[str, str]
    make_kme: Callable[[str, Device], Kme]


@dataclass(frozen=True)
class Parts:
    """What a caller may choose when a twin is assembled.

    `root` None: key material grows from the seed, so whoever knows the seed knows all keys; live twins pass 32
    random bytes. `life` and `start_ns`: which life of a twin this is that goes on after it was stopped, and from
    which instant; its links' blocks have numbers that no earlier life used. `mark_key`: see `Kme`. `trace_sink`: gets
    the spans of what comes of applications' requests.
    """

    make_store: StoreMaker
    seed: int | None = None
    root: bytes | None = None
    life: int = 0
    start_ns: int = 0
    mark_key: bytes | None = None
    trace_sink: SpanSink | None = None


class Assembler:
    """Builds all elements of one network."""

    def __init__(self, network: NetworkFile, parts: Parts) -> None:
        self.n = network
        self.parts = parts
        self.seed = seeds.of_life(network.seed if parts.seed is None else parts.seed, parts.life)
        self.first_block = parts.life * BLOCKS_OF_A_LIFE
        self.mark_key = parts.mark_key
        self.root = parts.root if parts.root is not None else seeds.synthetic_root(self.seed)
        self.center = next(iter(network.nodes))
        self.stores: dict[str, Device] = {}
        self.labels: dict[str, str] = {}
        self._direct_spans = span_finder(network)
        self.light = LightSide(network, self._spans_of)
        self.entanglement = EntanglementSide(network, self._direct_spans, self.seed, self.root)
        self.pair_keys = PairKeys(network, self.entanglement)
        self.telemetry = telemetry_plan(network)
        self._protocols: dict[str, Distillation] = {}
        classes = {e.name: e for e in entry_points(group=PROTOCOLS)}
        for link in network.links:
            self._protocols[link.id] = classes[link.protocol].load()(self._profile(link))
            self.labels[link.id] = self._protocols[link.id].security_label
        found = {e.name: e for e in entry_points(group="quoit.detectors")}
        self.detectors = tuple((name, found[name].load()) for name in network.policies.detectors)

    def _profile(self, link: Link) -> Profile:
        profile = profile_of(self.n, link)
        if isinstance(profile, RatedProfile):
            given: dict[str, Any] = {"rate_bps": link.rate_bps, "qber": link.qber}
            profile = with_overrides(profile, {k: v for k, v in given.items() if v is not None})
        if PROTOCOL_OF[type(profile)] != link.protocol:
            raise ValueError(f"link {link.id}: profile {link.profile} is not for protocol {link.protocol}")
        return profile

    def twin(self) -> Twin:
        """All elements in one kernel."""
        attachments = self._attachments()
        policy = self._policy()
        elements: list[Element] = [
            *self._engine_side(),
            *self._connectivity(),
            *self._fabric(),
            *self._service(attachments, policy),
            AssuranceElement(self.center, self._assurance_plan()),
            FootprintElement(self.center, footprint_plan(self.n, self._profile_of, self._pair_spans())),
        ]
        calendar = Calendar(self.n.epoch_unix_s, Namespace(self.n.nid))
        keys = MeasuredKeys(self._measured(), self.pair_keys.apart(), self.pair_keys.all_memories())
        elements += self.entanglement.elements(self.world, self.center, attachments, calendar, keys)
        elements += orchestration(self.n, self.center)
        elements += customers(self.n, self.center)
        loops = LoopSide(self.n, self.center, self._profile, self.light).elements()
        air = self.light.through_air
        elements += [*loops, *coordination_elements(self.n, self.center, self._spans_of, air, arbiter=not loops)]
        kernel = self._kernel(elements)
        kmes = {k.id: k.node for k in self.n.all_kmes()}
        return Twin(
            self.n, kernel, kmes, attachments, self.stores, policy, self.labels, self._kme_maker(attachments, policy)
        )

    def _kernel(self, elements: list[Element]) -> Kernel:
        kernel = self._empty_kernel(elements)
        if windows := cut_off(self.n.events):
            kernel.carrier = DeniedControl(elements, windows)
        return kernel

    def _empty_kernel(self, elements: list[Element]) -> Kernel:
        sink = self.parts.trace_sink
        timing: dict[str, Any] = {
            "latency": Latency(self.n),
            "start_ns": self.parts.start_ns,
            "local_ns": self.n.policies.local_latency_ns,
        }
        if sink is None:
            return Kernel(elements, seed=self.seed, **timing)
        return TracedKernel(elements, roots=TRACED, sink=sink, seed=self.seed, **timing)

    # -- engine --------------------------------------------------------------------------------------

    def _spans_of(self, link: Link | PairLink) -> tuple[str, ...]:
        if isinstance(link, Link) and link.protocol in OVER_PAIRS:
            return self.pair_keys.path(link).spans
        return self._direct_spans(link)

    @cached_property
    def _links_at(self) -> dict[str, list[Link]]:
        found: dict[str, list[Link]] = {node: [] for node in self.n.nodes}
        for link in self.n.links:
            for node in link.between:
                found[node].append(link)
        return found

    def _engine_side(self) -> list[Element]:
        paths = {link.id: self.light.true_link(link) for link in self.n.links}
        links = paths | self.entanglement.true_links()
        world = self.world = World(self.light.true_spans(), links, switches=self.light.true_switches())
        inventory = self.light.inventory()
        plans = []
        for link in self.n.links:
            if link.protocol in OVER_PAIRS:
                continue
            protocol = cast(LinkProtocol, self._protocols[link.id])
            loss = world.loss_db(link.id)
            if loss is None:  # a satellite has not risen yet: what counts is its highest culmination
                loss = inventory.loss_db(link.between[0], self._spans_of(link))
            chunk = protocol.chunk_ns(loss, self.n.telemetry_interval_ns)
            a, b = (f"module:{link.id}:{node}" for node in link.between)
            exact = self._exact_of(link)
            source = None if exact is None else exact.exact_source()
            plans.append(LinkPlan(link.id, a, b, protocol.sampler(), chunk, source))
        ends = {link.id: (link.between[0], link.between[1]) for link in self.n.links}
        strokes = [stroke for event in self.n.events for stroke in strokes_of(event, ends)]
        return [Engine(world, plans, self.root, self.seed, self.light.drifts()), Fate(tuple(strokes), ends)]

    def _measured(self) -> tuple[MeasuredPlan, ...]:
        plans = []
        for link in self.n.links:
            protocol = self._protocols[link.id]
            if isinstance(protocol, PairProtocol):
                receiver = f"module:{link.id}:{link.between[1]}"
                plans.append(MeasuredPlan(link.id, receiver, self.n.telemetry_interval_ns, protocol.settings()))
        return tuple(plans)

    # -- connectivity --------------------------------------------------------------------------------

    def _connectivity(self) -> list[Element]:
        light, center = self.light, self.center
        return [
            Plant(center, light.inventory()),
            ConnectivityController(center, light.inventory(), self._pair_spans(), otn=self.n.has_plant),
            ConnectivityMeters(center, light.inventory(), self.telemetry),
            ConnectivityUpkeep(center, light.inventory()),
            *optical_elements(self.n, light, center),
        ]

    # -- fabric --------------------------------------------------------------------------------------

    def _fabric(self) -> list[Element]:
        out: list[Element] = []
        ceiling = self.n.policies.qber_alarm
        entries, meters, upkeep = [], [], []
        for link in self.n.links:
            a, b = link.between
            protocol = self._protocols[link.id]
            ends = LinkEnds(link.id, a, b, self.n.telemetry_interval_ns, self.first_block)
            abort = getattr(getattr(protocol, "profile", None), "qber_abort", 0.08)
            pairs = self.pair_keys.circuit(link, protocol) if isinstance(protocol, PairProtocol) else None
            spans = self._spans_of(link)
            entries.append(LinkEntry(link.id, a, b, spans, pairs, link.on_demand is not None))
            over = pairs.over if pairs is not None else ()
            # Light through air comes and goes by itself, so does a rate that is given; a circuit's has other reasons
            # than light.
            steady = link.protocol != "rated" and pairs is None and not self.light.through_air(spans)
            tests = BatteryPlan(ceiling or abort, protocol.shares, steady, self._bell(link, protocol))
            out += self._modules(link, ends, protocol, tests)
            meters.append(
                MeterPlan(
                    link.id,
                    a,
                    b,
                    tests,
                    self.n.policies.quarantine_hold_ns,
                    over,
                    protocol.security_label,
                    spans=spans,
                    on_demand=link.on_demand is not None,
                    detectors=self.detectors,
                )
            )
            upkeep.append(UpkeepPlan(link.id, a, b))
        channels = {c.name: tuple(c.spans) for c in self.n.plant.channels}
        out += [
            *self._fabric_control(tuple(entries)),
            FabricMeters(self.center, tuple(meters), channels, self.telemetry),
            FabricUpkeep(self.center, tuple(upkeep)),
        ]
        for node in self.n.nodes:
            out += self._trusted_node(node)
        if self.n.policies.has_agents:
            out += sdqkd_agents(self.n, self.light.inventory())
        return out

    def _fabric_control(self, entries: tuple[LinkEntry, ...]) -> list[Element]:
        """The controller by itself; or instances of one that knows agents alone, behind one name."""
        policies, asked = self.n.policies, self.n.coordination
        oblivious = asked is not None and asked.by == "service"
        if policies.control == "direct":
            return [FabricController(self.center, entries, joining=self.n.joining, oblivious=oblivious)]
        nodes = tuple(self.n.nodes)
        if policies.control == "external":
            return [StandingFlows(self.center, self.n.name, nodes)]
        present = tuple(node for node in nodes if node not in self.n.joining)
        instances = [
            SdqkdController(
                present[number % len(present)],
                self.n.name,
                nodes,
                entries,
                number,
                joining=self.n.joining,
                oblivious=oblivious,
            )
            for number in range(policies.fabric_controllers)
        ]
        return [ControlFront(self.center), *instances]

    def _exact_of(self, link: Link) -> DecoyBB84 | None:
        """The protocol if this link is to run in mode `exact`; only decoy BB84 can."""
        protocol = self._protocols[link.id]
        wanted = (link.mode or self.n.mode) == "exact"
        return protocol if wanted and isinstance(protocol, DecoyBB84) else None

    def _bell(self, link: Link, protocol: Distillation) -> float | None:
        """S that the pairs of a link with a Bell test show if they keep what is promised of them."""
        if not isinstance(protocol, E91):
            return None
        readouts = [2 * self.entanglement.readout(node) - 1 for node in link.between]
        return promised_bell(self.pair_keys.circuit(link, protocol).fidelity, math.prod(readouts))

    def _modules(self, link: Link, ends: LinkEnds, protocol: Distillation, tests: BatteryPlan) -> list[Element]:
        guard = GuardPlan(tests, self.n.policies.quarantine_hold_ns)
        if isinstance(protocol, PairProtocol):
            return [PairSenderModule(ends), ReceiverModule(ends, protocol, guard)]
        exact = self._exact_of(link)
        if exact is None:
            gross = link.protocol != "rated"  # a rate that is given is what is left
            return [SenderModule(ends), ReceiverModule(ends, protocol, guard, gross)]
        p = exact.profile
        security = Security(p.eps_sec, p.eps_cor, p.qber_abort, cast(Proof, p.finite_key_proof))
        plan = ExactPlan(ends, p.mu, p.p_intensity, p.block_bits, security, guard, p.watch_current)
        forth, back = (
            seeds.keystream(self.root, "tags", link.id, way, nbytes=BOOTSTRAP_BYTES) for way in ("forth", "back")
        )
        return [
            ExactSender(plan, Secret(forth), Secret(back)),
            ExactReceiver(plan, Secret(back), Secret(forth)),
        ]

    def _trusted_node(self, node: str) -> list[Element]:
        here = self._links_at[node]
        policies = self.n.policies
        plans = tuple(
            PoolPlan(
                link.id,
                link.between[0],
                link.between[1],
                link.capacity_bits,
                policies.pool_floor_bits,
                policies.pool_reopen_bits,
            )
            for link in here
        )
        initial = {
            link.id: Secret(seeds.keystream(self.root, "initial", link.id, nbytes=link.initial_pool_bits // 8))
            for link in here
            if link.initial_pool_bits
        }
        neighbours = {k.id: k.between[1] if k.between[0] == node else k.between[0] for k in here}
        hashes = {k.id: Secret(seeds.keystream(self.root, "commission", k.id, nbytes=16)) for k in here}
        return [Kma(node, plans, initial, self.first_block), Relay(node, neighbours, hashes)]

    # -- across the strata ---------------------------------------------------------------------------

    def _pair_spans(self) -> frozenset[str]:
        return frozenset(span for link in self.n.pair_links for span in self._spans_of(link))

    def _profile_of(self, link: str) -> object:
        return getattr(self._protocols[link], "profile", None)

    def _assurance_plan(self) -> AssurancePlan:
        links = [AssuredLink(k.id, k.between[0], k.between[1], self._spans_of(k)) for k in self.n.links]
        kmes = tuple((kme.id, kme.node) for kme in self.n.all_kmes())
        return AssurancePlan(tuple(links), tuple(span.id for span in self.n.spans), kmes)

    # -- service -------------------------------------------------------------------------------------

    def _attachments(self) -> dict[str, Attachment]:
        node_of = {k.id: k.node for k in self.n.all_kmes()}
        out = {}
        for app in self.n.applications:
            node = node_of[app.kme]
            allow = None if app.allow == "any" else tuple(app.allow)
            out[app.sae] = Attachment(
                app.sae, self.n.urn_of(app), app.kme, node, self.n.domain_of(node), allow, app.routable
            )
        return out

    def _policy(self) -> KeyPolicy:
        p = self.n.policies
        return KeyPolicy(
            key_size=p.key_size_bits,
            min_key_size=p.min_key_size_bits,
            max_key_size=p.max_key_size_bits,
            max_per_request=p.max_keys_per_request,
            stream_low=p.stream_low_bits,
            stream_high=p.stream_high_bits,
            patience_ns=p.patience_ns,
            commit_ns=p.commit_time_ns,
            validity_ns=p.key_validity_ns,
            control_instances=p.control_instances,
        )

    def _service(self, attachments: dict[str, Attachment], policy: KeyPolicy) -> list[Element]:
        out: list[Element] = [ServiceMeters(self.center), ServiceUpkeep(self.center)]
        make_kme = self._kme_maker(attachments, policy)
        domains, number = self.n.all_domains(), policy.control_instances
        for domain in domains:
            mine = tuple(a for a in attachments.values() if a.domain == domain.name)
            peers = tuple(d.name for d in domains if d.name != domain.name)
            place = next((n for n in self.n.nodes if self.n.domain_of(n) == domain.name), self.center)
            out += [
                ServiceController(place, domain.name, domain.prefix, mine, peers, self.n.joining, n, number)
                for n in range(number)
            ]
            out += self._session_control(domain.name, place, mine, policy)
        for kme in self.n.all_kmes():
            store = self.stores[kme.id] = self.parts.make_store(kme.id)
            out.append(make_kme(kme.id, store))
        out += [self._load(i, event, attachments) for i, event in enumerate(self.n.events) if event.load is not None]
        return out

    def _session_control(
        self, domain: str, place: str, mine: tuple[Attachment, ...], policy: KeyPolicy
    ) -> list[Element]:
        """What decides on sessions in one domain, in as many instances as its policy says."""
        apps = {app.sae: app for app in self.n.applications}
        contracts = tuple(Contract(a, apps[a.sae].rate_bps, apps[a.sae].priority) for a in mine)
        number = policy.control_instances
        out: list[Element] = []
        for n in range(number):
            out += [
                ServiceMonitor(place, domain, self.telemetry, n),
                AccessControl(place, domain, contracts, n),
                AdmissionControl(place, domain, policy.commit_ns, n, number),
                RoutingModule(place, domain, n),
            ]
        return out

    def _kme_maker(self, attachments: dict[str, Attachment], policy: KeyPolicy) -> Callable[[str, Device], Kme]:
        """Makes a KME by its name with a store: at the twin's start, and again when one comes back from a crash."""
        node_of = {k.id: k.node for k in self.n.all_kmes()}
        calendar = Calendar(self.n.epoch_unix_s, Namespace(self.n.nid))

        def make(kme: str, store: Device) -> Kme:
            node = node_of[kme]
            apps = tuple(self._app(a, attachments[a.sae]) for a in self.n.applications if a.kme == kme)
            prefill = self._prefill(kme, apps, attachments)
            return Kme(
                kme, node, self.n.domain_of(node), apps, store, policy, self.root, calendar, prefill, self.mark_key
            )

        return make

    @staticmethod
    def _app(app: Application, attachment: Attachment) -> App:
        return App(attachment, app.rate_bps, app.burst_bits, app.key_size_bits, "allow_self_pair" in app.compat)

    def _prefill(
        self, kme: str, apps: tuple[App, ...], attachments: dict[str, Attachment]
    ) -> tuple[tuple[str, str], ...]:
        """Streams to fill before anybody asks: those between applications that name each other. Of a node that joins
        later nothing is known then: its streams begin when somebody asks."""
        if any(app.attachment.node in self.n.joining for app in apps):
            return ()
        named = {peer for app in apps for peer in app.attachment.allow or ()}
        found = {(attachments[p].kme, attachments[p].node) for p in named if attachments[p].kme != kme}
        return tuple(sorted(pair for pair in found if pair[1] not in self.n.joining))

    def _load(self, number: int, event: Event, attachments: dict[str, Attachment]) -> Load:
        load = event.load
        assert load is not None
        master, slave = attachments[load.source], attachments[load.to]
        return Load(
            LoadPlan(
                f"load:{number}:{load.source}>{load.to}",
                load.source,
                load.to,
                master.kme,
                slave.kme,
                master.node,
                load.rate_bps,
                load.key_size_bits,
                load.arrivals == "poisson",
                event.at_ns,
                event.until_ns,
            )
        )


class Latency:
    """Classical latency between places: light in the shortest fibre path, and a processing time.

    Places off the plant (the engine) are one processing time away: the time a device's read-out takes.
    Lengths are taken to the millimetre.
    """

    HUB = 4
    """Places asked for so often get a table of all distances; neighbours are found by a search each."""

    def __init__(self, network: NetworkFile) -> None:
        self._lengths_mm = {s.id: round(s.length_km * 1e6) for s in network.spans}
        self._graph = Graph((s.id, s.between[0], s.between[1]) for s in network.spans)
        self._processing = network.policies.control_latency_ns
        self._from: dict[str, dict[str, int]] = {}
        self._asked: Counter[str] = Counter()

    def __call__(self, here: str, there: str) -> int:
        mm = self._distance_mm(here, there)
        if mm is None:
            return max(1, self._processing)
        return max(1, math.ceil(round(fibre.delay_s(mm / 1e6) * 1e9, 3)) + self._processing)

    def _distance_mm(self, here: str, there: str) -> int | None:
        if here not in self._graph or there not in self._graph:
            return None
        for near, far in ((there, here), (here, there)):
            self._asked[near] += 1
            if near not in self._from and self._asked[near] > self.HUB:
                self._from[near] = self._graph.distances(near, self._lengths_mm.__getitem__)
            if near in self._from:
                return self._from[near].get(far)
        return self._graph.distances(here, self._lengths_mm.__getitem__, until=there).get(there)


def assemble(network: NetworkFile, parts: Parts) -> Twin:
    """Build the twin of a network. ValueError if a link's profile is not for its protocol."""
    return Assembler(network, parts).twin()
