"""The entanglement side of a network file: from published hardware and fibres to links, memories and their elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from quoit.engine.entangler import Entangler, PairLink
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.ledger import Node as TrueNode
from quoit.engine.physics.bell_pairs import BellDiagonal, depolarised
from quoit.engine.physics.fibre import delay_s
from quoit.engine.physics.heralding import double_click, single_click
from quoit.engine.program import Decay, Hop, werner_state
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.world import TrueLink, World
from quoit.fabric.memory import MemoryAgent
from quoit.fabric.pairs import PairController, PairLinkEntry, PairNodeEntry
from quoit.runtime.element import Element
from quoit.scenario import schema
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment
from quoit.service.eme import Centre, Eme

DEFAULT_VISIBILITY = 0.9
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
    """What the file says, else what the hardware's paper says, else a memory without that fault."""
    profile = None if given.hardware is None else PROFILES[given.hardware]
    t1_s = inf if given.t1_ns is None else given.t1_ns * 1e-9
    published = None if profile is None else profile.memory_t2_s
    t2_s = given.t2_ns * 1e-9 if given.t2_ns is not None else published or 2 * t1_s
    gate = given.gate if given.gate is not None else (profile and profile.gate_p2) or 1.0
    readout = given.readout if given.readout is not None else (profile and profile.readout) or 1.0
    return MemoryPlan(given.number, t1_s, min(t2_s, 2 * t1_s), gate, readout, given.gate_time_ns, given.readout_time_ns)


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
        state = _eigenvalues(bell)
        prepare_ns = link.attempt_ns if profile.attempt_s is None else round(profile.attempt_s * 1e9)
    # The photons' way to the middle and the news' way back; half the state's time in memory is over by then.
    return Hop(light_ns, success, prepare_ns + light_ns, state, stored_ns=light_ns, restart_ns=light_ns)


def _heralded(link: schema.PairLink, profile: HardwareProfile, loss_db: float) -> tuple[float, BellDiagonal]:
    if profile.p_detection is None:
        raise ValueError(f"hardware {profile.name} does not say p_detection: use scheme given")
    # The conversion is part of reaching telecom fibre; half of the path's loss is on either side of the station.
    eta = profile.p_detection * (profile.conversion or 1.0) * 10 ** (-loss_db / 20)
    dark = profile.dark_per_window or 0.0
    visibility = DEFAULT_VISIBILITY if profile.visibility is None else profile.visibility
    if link.scheme == "single-click":
        clicks = single_click(
            link.bright, link.bright, eta, eta, dark, visibility, profile.phase_rms_rad, profile.p_double_excitation
        )
        success, bell = clicks.p_success, clicks.bell_diagonal()
    else:
        both = double_click(eta, eta, dark, visibility)
        success, bell = both.p_success, both.bell_diagonal
    return success * profile.duty_factor, depolarised(bell, profile.extra_depol)


def _eigenvalues(bell: BellDiagonal) -> tuple[float, float, float]:
    phi_plus, phi_minus, psi_plus, psi_minus = bell
    return (
        phi_plus - phi_minus + psi_plus - psi_minus,
        phi_plus - phi_minus - psi_plus + psi_minus,
        phi_plus + phi_minus - psi_plus - psi_minus,
    )


class EntanglementSide:
    """Elements of all strata that have to do with entangled states. Empty for a network without memories."""

    def __init__(self, network: schema.NetworkFile, spans_of: Spans, seed: int) -> None:
        self._n = network
        self._seed = seed
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
        nodes = tuple(
            PairNodeEntry(name, plan.decay, _swap_noise(plan), plan.gate, plan.readout)
            for name, plan in self._memories.items()
        )
        true_nodes = {name: plan.true_node for name, plan in self._memories.items()}
        return [
            Entangler(world, tuple(true_links), true_nodes, self._seed),
            PairController(center, tuple(entries), nodes),
            *(MemoryAgent(name, plan.number) for name, plan in self._memories.items()),
            *self._emes(attachments, calendar),
        ]

    def _emes(self, attachments: Mapping[str, Attachment], calendar: Calendar) -> list[Element]:
        stages = {domain.name: domain.stage for domain in self._n.all_domains()}
        centres = tuple(Centre(name, plan.gate, plan.readout) for name, plan in self._memories.items())
        emes: list[Element] = []
        for name in self._memories:
            domain = self._n.domain_of(name)
            apps = tuple(a for a in attachments.values() if a.node == name)
            emes.append(Eme(name, domain, stages[domain], apps, centres, calendar))
        return emes


def _swap_noise(plan: MemoryPlan) -> float:
    """Factor on the eigenvalues: one two-qubit gate and two readouts (Briegel et al., PRL 81, 5932, eq. 1)."""
    return plan.gate * (4 * plan.readout**2 - 1) / 3
