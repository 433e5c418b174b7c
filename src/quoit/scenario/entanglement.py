"""The entanglement side of a network file: from published hardware and fibres to links, memories and their elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from itertools import combinations

from quoit.engine.attempts import AttemptBoard
from quoit.engine.channels import PairLink
from quoit.engine.entangler import Entangler
from quoit.engine.equipment import NodeModel, Silent, node_model
from quoit.engine.hardware import PROFILES
from quoit.engine.ledger import Node as TrueNode
from quoit.engine.links.heralding import BUILT_IN, HeraldProtocol, LinkGiven
from quoit.engine.links.heralding import GROUP as HERALDING
from quoit.engine.measured import MeasuredPairs, MeasuredPlan, Reader
from quoit.engine.program import Hop, State
from quoit.engine.world import TrueLink, World
from quoit.fabric.anchors import AnchorTable
from quoit.fabric.linkservice.circuits import NetworkService
from quoit.fabric.linkservice.links import LinkEnds, LinkService
from quoit.fabric.linkservice.rules import Devices, Facts
from quoit.fabric.memory import MemoryAgent
from quoit.fabric.pair_links import PairLinkEntry, PairLinks
from quoit.fabric.pairs import KeptReady, PairController
from quoit.fabric.programs.demand import GROUP, Compiler, Station
from quoit.fabric.programs.edc import anchors_within
from quoit.runtime import seeds
from quoit.runtime.element import Element
from quoit.scenario import schema
from quoit.scenario.light import LightSide
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.eme import Eme
from quoit.service.planning import Centre
from quoit.service.qnpu import Qnpu
from quoit.service.scheduler import Scheduler

Spans = Callable[[schema.Link | schema.PairLink], tuple[str, ...]]


@dataclass(frozen=True)
class MemoryPlan:
    """A node's memories with every number settled."""

    number: int
    model: NodeModel
    gate_ns: int
    readout_ns: int

    @property
    def true_node(self) -> TrueNode:
        """As the engine sees it."""
        return TrueNode(self.model.memory, self.model.device(self.gate_ns, self.readout_ns))


def memory_plan(given: schema.Memories) -> MemoryPlan:
    """What the file says, else what the hardware's paper says. ValueError names what neither says."""
    profile = None if given.hardware is None else PROFILES[given.hardware]
    t1_s, t2_s = (None if ns is None else ns * 1e-9 for ns in (given.t1_ns, given.t2_ns))
    if t1_s is not None and t2_s is None and profile is not None and profile.memory_t2_s is not None:
        t2_s = min(profile.memory_t2_s, 2 * t1_s)
    try:
        model = node_model(profile, t1_s=t1_s, t2_s=t2_s, gate=given.gate, readout=given.readout)
    except Silent as silent:
        raise ValueError(f"{silent}: give it here") from silent
    return MemoryPlan(given.number, model, given.gate_time_ns, given.readout_time_ns)


def herald_protocols() -> dict[str, HeraldProtocol]:
    """Link protocols by name: those of this package, and all that are installed. ValueError for two of one name."""
    found = dict(BUILT_IN)
    for point in entry_points(group=HERALDING):
        if point.name in BUILT_IN:
            raise ValueError(f"link protocol {point.name} ({point.value}) has the name of one of quoit's own")
        found[point.name] = point.load()()
    return found


def given_of(link: schema.PairLink) -> LinkGiven:
    """What the file says of a link, for its protocol."""
    return LinkGiven(
        scheme=link.scheme,
        attempt_s=link.attempt_ns * 1e-9,
        profile=None if link.hardware is None else PROFILES.get(link.hardware),
        success=link.success,
        fidelity=link.fidelity,
        bright=link.bright,
        emission=link.emission,
        absorption=link.absorption,
        dark=link.dark,
    )


def hop_of(link: schema.PairLink, length_km: float, loss_db: float) -> Hop:
    """An attempt on the link. ValueError names what neither the file nor the hardware's paper says."""
    return herald_protocols()[link.scheme].hop(given_of(link), length_km, loss_db)


def span_finder(network: schema.NetworkFile) -> Callable[[schema.Link | schema.PairLink], tuple[str, ...]]:
    """Gives the spans of a link that the file names, else the one of least loss that joins its ends."""
    between: dict[frozenset[str], list[schema.Span]] = {}
    for span in network.spans:
        between.setdefault(frozenset(span.between), []).append(span)

    def spans_of(link: schema.Link | schema.PairLink) -> tuple[str, ...]:
        if link.spans is not None:
            return tuple(link.spans)
        return (min(between[frozenset(link.between)], key=lambda s: (s.amplified, s.loss_db, s.id)).id,)

    return spans_of


@dataclass(frozen=True)
class MeasuredKeys:
    """Links whose key comes of pairs: how the engine runs each, how many circuits of each pair link they need, and how
    many memories of each node."""

    plans: tuple[MeasuredPlan, ...] = ()
    apart: Mapping[str, int] = field(default_factory=dict)
    memories: Mapping[str, int] = field(default_factory=dict)


class EntanglementSide:
    """Elements of all strata that have to do with entangled states. Empty for a network without memories."""

    def __init__(self, network: schema.NetworkFile, spans_of: Spans, seed: int, root: bytes | None = None) -> None:
        """`root`: what the ends' choices of test rounds grow from; needed for elements alone."""
        self._n = network
        self._seed = seed
        self._root = root
        self._spans_of = spans_of
        self._memories = {
            name: memory_plan(node.memories) for name, node in network.nodes.items() if node.memories is not None
        }

    def true_links(self) -> dict[str, TrueLink]:
        """The paths of pair links, for the world."""
        return {link.id: TrueLink(link.id, self._spans_of(link), source=link.between[0]) for link in self._n.pair_links}

    @cached_property
    def links(self) -> dict[str, PairLinkEntry]:
        """Pair links as control knows them. ValueError names what the hardware's paper does not say."""
        found = {}
        for link in self._n.pair_links:
            hop = hop_of(link, self._length_km(link), self._losses_db[link.id])
            a, b = link.between
            found[link.id] = PairLinkEntry(link.id, a, b, hop, link.pairs, link.calibration_ns)
        return found

    @cached_property
    def _losses_db(self) -> dict[str, float]:
        """Of each pair link as long as nothing has happened: spans, and switches on the way."""
        light = LightSide(self._n, self._spans_of)
        world = World(light.true_spans(), self.true_links(), switches=light.true_switches())
        return {link.id: world.loss_db(link.id) or 0.0 for link in self._n.pair_links}

    def memories_of(self, node: str) -> int:
        """How many a node has."""
        return self._memories[node].number if node in self._memories else 0

    def _true_link(self, link: schema.PairLink) -> PairLink:
        """Where closed forms say what loss does to a link, they are asked again whenever it changes."""
        protocol, given = herald_protocols()[link.scheme], given_of(link)
        length_km, base_db = self._length_km(link), self._losses_db[link.id]
        false = protocol.false_share(given, length_km)

        def at_loss(loss_db: float) -> tuple[float, State]:
            hop = protocol.hop(given, length_km, loss_db)
            return hop.success, hop.state

        ends = link.between[0], link.between[1]
        return PairLink(link.id, base_db, protocol.photons, ends, false or 0.0, at_loss if false is None else None)

    def _length_km(self, link: schema.PairLink) -> float:
        lengths = {span.id: span.length_km for span in self._n.spans}
        return sum(lengths[span] for span in self._spans_of(link))

    @cached_property
    def known(self) -> PairLinks:
        """Pair links and nodes with memories, as control knows them. ValueError names what the hardware's paper does
        not say."""
        stations = (_station(name, plan) for name, plan in self._memories.items())
        return PairLinks(self.links.values(), stations)

    @property
    def compiler(self) -> Compiler:
        """That the policies name."""
        compiler: Compiler = {e.name: e for e in entry_points(group=GROUP)}[self._n.policies.pair_compiler].load()()
        return compiler

    def readout(self, node: str) -> float:
        """Probability of a right result when a qubit of a node is read."""
        plan = self._memories.get(node)
        return 1.0 if plan is None else plan.model.readout

    def elements(
        self,
        world: World,
        center: str,
        attachments: Mapping[str, Attachment],
        calendar: Calendar,
        keys: MeasuredKeys = MeasuredKeys(),
    ) -> list[Element]:
        """Engine, agents, control and EMEs; none if no node has memories."""
        if not self._memories:
            return []
        true_links = tuple(self._true_link(link) for link in self._n.pair_links)
        true_nodes = {name: plan.true_node for name, plan in self._memories.items()}
        readers = {name: Reader(plan.model.readout, plan.readout_ns) for name, plan in self._memories.items()}
        board = AttemptBoard()
        key_side = [MeasuredPairs(world, true_links, keys.plans, readers, self._seed, board)] if keys.plans else []
        links, stations = tuple(self.links.values()), tuple(self.known.stations.values())
        numbers = {name: plan.number for name, plan in self._memories.items()}
        return [
            Entangler(world, true_links, true_nodes, self._seed, board),
            *key_side,
            PairController(center, links, stations, self.compiler, numbers, self._kept_ready(attachments, keys)),
            *self._anchor_tables(),
            *(MemoryAgent(name, plan.number) for name, plan in self._memories.items()),
            *self._pair_services(self.known),
            Scheduler(center, numbers),
            *self._emes(attachments, calendar),
            *(Qnpu(name, self._settle_ns) for name in self._memories),
        ]

    def _kept_ready(self, attachments: Mapping[str, Attachment], keys: MeasuredKeys) -> KeptReady:
        """Between all nodes that have applications and memories."""
        nodes = sorted({a.node for a in attachments.values()} & set(self._memories))
        floor = self._n.policies.virtual_link_fidelity
        return KeptReady(tuple(combinations(nodes, 2)), floor, keys.apart, keys.memories, tuple(self._anchors))

    @cached_property
    def _anchors(self) -> dict[str, dict[str, str]]:
        """By domain, the anchor of each of its nodes with memories; empty if the compiler has no anchors."""
        spacing: int = getattr(self.compiler, "spacing", 0)
        links = [(link.between[0], link.between[1]) for link in self._n.pair_links]
        inside: dict[str, list[str]] = {}
        for name in self._memories if spacing else ():
            inside.setdefault(self._n.domain_of(name), []).append(name)
        return {domain: anchors_within(nodes, links, spacing // 2) for domain, nodes in inside.items()}

    def _anchor_tables(self) -> list[Element]:
        """Each at the first node of its domain."""
        return [
            AnchorTable(next(iter(table)), domain, {f"{domain}:{node}": anchor for node, anchor in table.items()})
            for domain, table in self._anchors.items()
        ]

    def _pair_services(self, known: PairLinks) -> list[Element]:
        """Link service and network service of each node."""
        stages = {domain.name: domain.stage for domain in self._n.all_domains()}
        hear_ns = self._n.policies.control_latency_ns
        devices = {
            name: Devices(hear_ns, plan.gate_ns, plan.readout_ns, plan.number) for name, plan in self._memories.items()
        }
        ends = [LinkEnds(e.link, e.a, e.b, Facts.of_link(e.link, known)) for e in known.entries.values()]
        numbers = {name: number for number, name in enumerate(self._n.nodes)}
        services: list[Element] = []
        for name in self._memories:
            stage = stages[self._n.domain_of(name)]
            mine = tuple(e for e in ends if name in (e.a, e.b))
            services += [LinkService(name, stage, devices, mine, numbers), NetworkService(name, stage, devices, mine)]
        return services

    @property
    def _settle_ns(self) -> int:
        """From an answer of control that a circuit is closed until nothing of it can come: the word to the engine, and
        the engine's last one to a memory."""
        return 3 * self._n.policies.control_latency_ns + 1_000

    def _emes(self, attachments: Mapping[str, Attachment], calendar: Calendar) -> list[Element]:
        stages = {domain.name: domain.stage for domain in self._n.all_domains()}
        centres = tuple(
            Centre(name, plan.model.gate, plan.model.readout, plan.gate_ns, plan.readout_ns, plan.number)
            for name, plan in self._memories.items()
        )
        emes: list[Element] = []
        assert self._root is not None
        for name in self._memories:
            domain = self._n.domain_of(name)
            apps = tuple(a for a in attachments.values() if a.node == name)
            dice = seeds.keystream(self._root, "dice", name, nbytes=32)
            made = Eme(name, domain, stages[domain], apps, centres, calendar, dice, bool(self._anchors))
            made.know_controllers(self._n.policies.control_instances)
            emes.append(made)
        return emes


def _station(name: str, plan: MemoryPlan) -> Station:
    """A node as control knows it."""
    model, swap_ns = plan.model, plan.gate_ns + plan.readout_ns
    return Station(name, model.decay, 1, model.gate, model.readout, swap_ns=swap_ns, attempt_loss=model.attempt_loss)
