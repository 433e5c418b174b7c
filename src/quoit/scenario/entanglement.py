"""The entanglement side of a network file: from published hardware and fibres to links, memories and their elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from math import inf

from quoit.engine.entangler import Entangler, PairLink
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.ledger import Node as TrueNode
from quoit.engine.physics.bell_pairs import BellDiagonal, depolarised
from quoit.engine.physics.fibre import delay_s
from quoit.engine.physics.heralding import double_click, single_click
from quoit.engine.program import Decay, Hop, state_of, werner_state
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.world import TrueLink, World
from quoit.fabric.memory import MemoryAgent
from quoit.fabric.pairs import PairController, PairLinkEntry
from quoit.fabric.programs.demand import GROUP, Station
from quoit.runtime import seeds
from quoit.runtime.element import Element
from quoit.scenario import schema
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.eme import Eme
from quoit.service.planning import Centre
from quoit.service.scheduler import Scheduler

Spans = Callable[[schema.PairLink], tuple[str, ...]]


@dataclass(frozen=True)
class MemoryPlan:
    """A node's memories with every number settled."""

    number: int
    t1_s: float
    t2_s: float
    gate: float
    readout: float
    gate_ns: int
    readout_ns: int

    @property
    def decay(self) -> Decay:
        return Decay.t1_t2(self.t1_s, self.t2_s)

    @property
    def true_node(self) -> TrueNode:
        """As the engine sees it. Relaxation as its Pauli twirl: what control promises is then exact."""
        memory = MemoryNoise.relaxation(self.t1_s, self.t2_s, twirled=True)
        device = DeviceNoise(
            p2=self.gate, readout=self.readout, gate1_ns=self.gate_ns, gate2_ns=self.gate_ns, readout_ns=self.readout_ns
        )
        return TrueNode(memory, device)


def memory_plan(given: schema.Memories) -> MemoryPlan:
    """What the file says, else what the hardware's paper says. Without hardware, what is not said has no fault; of
    hardware nothing is made up: ValueError names what neither says."""
    profile = None if given.hardware is None else PROFILES[given.hardware]
    t1_s = inf if given.t1_ns is None else given.t1_ns * 1e-9
    t2_s = _settled(profile, "t2", None if given.t2_ns is None else given.t2_ns * 1e-9, "memory_t2_s", 2 * t1_s)
    gate = _settled(profile, "gate", given.gate, "gate_p2", 1.0)
    readout = _settled(profile, "readout", given.readout, "readout", 1.0)
    return MemoryPlan(given.number, t1_s, min(t2_s, 2 * t1_s), gate, readout, given.gate_time_ns, given.readout_time_ns)


def _settled(profile: HardwareProfile | None, key: str, said: float | None, column: str, ideal: float) -> float:
    if said is not None:
        return said
    if profile is None:
        return ideal
    published: float | None = getattr(profile, column)
    if published is None:
        raise ValueError(f"hardware {profile.name} does not say {column}: give {key}")
    return published


def hop_of(link: schema.PairLink, length_km: float, loss_db: float) -> Hop:
    """An attempt on the link. ValueError names what the hardware's paper does not say."""
    light_ns = round(delay_s(length_km) * 1e9)
    if link.scheme == "given":
        if link.success is None or link.fidelity is None:
            raise ValueError("scheme given: expected success and fidelity")
        success, state, prepare_ns = link.success, werner_state(link.fidelity), link.attempt_ns
    else:
        if link.hardware is None:
            raise ValueError(f"scheme {link.scheme}: expected hardware, one of {', '.join(sorted(PROFILES))}")
        profile = PROFILES[link.hardware]
        success, bell = _heralded(link, profile, loss_db)
        state = state_of(bell)
        prepare_ns = link.attempt_ns if profile.attempt_s is None else round(profile.attempt_s * 1e9)
    # The photons' way to the middle and the news' way back: the halves have been in memory all that time.
    return Hop(light_ns, success, prepare_ns + light_ns, state, stored_ns=light_ns, restart_ns=light_ns)


def _heralded(link: schema.PairLink, profile: HardwareProfile, loss_db: float) -> tuple[float, BellDiagonal]:
    detection, dark, visibility = profile.p_detection, profile.dark_per_window, profile.visibility
    if detection is None or dark is None or visibility is None:
        names = ("p_detection", "dark_per_window", "visibility")
        missing = ", ".join(name for name in names if getattr(profile, name) is None)
        raise ValueError(f"hardware {profile.name} does not say {missing}: use scheme given")
    # The conversion is part of reaching telecom fibre; half of the path's loss is on either side of the station.
    eta = detection * (profile.conversion or 1.0) * 10 ** (-loss_db / 20)
    if link.scheme == "single-click":
        clicks = single_click(
            link.bright, link.bright, eta, eta, dark, visibility, profile.phase_rms_rad, profile.p_double_excitation
        )
        success, bell = clicks.p_success, clicks.bell_diagonal()
    else:
        both = double_click(eta, eta, dark, visibility)
        success, bell = both.p_success, both.bell_diagonal
    return success * profile.duty_factor, depolarised(bell, profile.extra_depol)


class EntanglementSide:
    """Elements of all strata that have to do with entangled states. Empty for a network without memories."""

    def __init__(self, network: schema.NetworkFile, spans_of: Spans, seed: int, root: bytes) -> None:
        """`root`: what the ends' choices of test rounds grow from."""
        self._n = network
        self._seed = seed
        self._root = root
        self._spans_of = spans_of
        self._memories = {
            name: memory_plan(node.memories) for name, node in network.nodes.items() if node.memories is not None
        }

    def true_links(self) -> dict[str, TrueLink]:
        """The paths of pair links, for the world."""
        return {link.id: TrueLink(link.id, self._spans_of(link)) for link in self._n.pair_links}

    def elements(
        self, world: World, center: str, attachments: Mapping[str, Attachment], calendar: Calendar
    ) -> list[Element]:
        """Engine, agents, control and EMEs; none if no node has memories."""
        if not self._memories:
            return []
        lengths = {span.id: span.length_km for span in self._n.spans}
        true_links, entries = [], []
        for link in self._n.pair_links:
            loss_db = world.loss_db(link.id) or 0.0
            hop = hop_of(link, sum(lengths[span] for span in self._spans_of(link)), loss_db)
            true_links.append(PairLink(link.id, loss_db, 1 if link.scheme == "single-click" else 2))
            entries.append(PairLinkEntry(link.id, link.between[0], link.between[1], hop, link.pairs))
        stations = tuple(
            Station(name, plan.decay, 1, plan.gate, plan.readout, swap_ns=plan.gate_ns + plan.readout_ns)
            for name, plan in self._memories.items()
        )
        compiler = {e.name: e for e in entry_points(group=GROUP)}[self._n.policies.pair_compiler].load()()
        true_nodes = {name: plan.true_node for name, plan in self._memories.items()}
        return [
            Entangler(world, tuple(true_links), true_nodes, self._seed),
            PairController(center, tuple(entries), stations, compiler),
            *(MemoryAgent(name, plan.number) for name, plan in self._memories.items()),
            Scheduler(center, {name: plan.number for name, plan in self._memories.items()}),
            *self._emes(attachments, calendar),
        ]

    def _emes(self, attachments: Mapping[str, Attachment], calendar: Calendar) -> list[Element]:
        stages = {domain.name: domain.stage for domain in self._n.all_domains()}
        centres = tuple(
            Centre(name, plan.gate, plan.readout, plan.gate_ns, plan.readout_ns, plan.number)
            for name, plan in self._memories.items()
        )
        emes: list[Element] = []
        for name in self._memories:
            domain = self._n.domain_of(name)
            apps = tuple(a for a in attachments.values() if a.node == name)
            dice = seeds.keystream(self._root, "dice", name, nbytes=32)
            emes.append(Eme(name, domain, stages[domain], apps, centres, calendar, dice))
        return emes
