"""What nodes and links of a run can do: ideal, by a published profile, or by an SDK application's `network.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, inf
from typing import Any

from quoit.engine.equipment import clicks, measured_hop, node_model, timed_hop
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.ledger import Node
from quoit.engine.program import Hop, pair_of
from quoit.engine.states.bell import Bell4, werner
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.memory import MemoryNoise
from quoit.interfaces.netqasm.processor import Bell


class HardwareFault(ValueError):
    """Hardware that a run cannot have; says what is missing or wrong."""


@dataclass(frozen=True, slots=True)
class NodeHardware:
    """A node. `noise`: of memories, gates and their durations; its readout must be 1, since `readout`, the probability
    that a bit is read right, is applied to the bit, and the qubit stays as it really is. `interfaces`: links that it
    can serve at a time. `stores`: pairs come into a qubit of their own and are then moved to their memory, which has
    the error and the duration of a two-qubit gate."""

    noise: Node = Node()  # noqa: RUF009  frozen
    readout: float = 1.0
    memories: int = 10
    instruction_ns: int = 0
    interfaces: int = 1
    stores: bool = False

    def __post_init__(self) -> None:
        if self.noise.device.readout != 1.0:
            raise HardwareFault("noise.device.readout: expected 1; state the readout of the node itself")
        if not 0.5 <= self.readout <= 1.0:
            raise HardwareFault(f"readout: expected a probability 0.5 to 1, found {self.readout}")
        if self.memories < 1 or self.interfaces < 1 or self.instruction_ns < 0:
            raise HardwareFault("expected one memory and one interface or more, and instruction_ns >= 0")


@dataclass(frozen=True, slots=True)
class LinkModel:
    """A link. `pair`: probabilities of Phi+, Phi-, Psi+, Psi- of what is called Phi+ at the herald. `heralds`: Bell
    states that the herald may announce, all alike likely; the pair is then that state with the same errors. An
    attempt succeeds with `p_success`, and both nodes know after `cycle_ns`."""

    pair: Bell4 = (1.0, 0.0, 0.0, 0.0)
    p_success: float = 0.1
    cycle_ns: int = 100_000
    light_ns: int = 49_000
    heralds: tuple[Bell, ...] = (Bell.PHI_PLUS,)

    def __post_init__(self) -> None:
        if not 0 < self.p_success <= 1:
            raise HardwareFault(f"p_success: expected a probability above 0, found {self.p_success}")
        if self.light_ns < 0 or self.cycle_ns < max(1, self.light_ns):
            # A herald must not come before light can travel.
            raise HardwareFault(f"expected a cycle of {max(1, self.light_ns)} ns or more, found {self.cycle_ns}")
        if not self.heralds:
            raise HardwareFault("heralds: expected a Bell state or more")


@dataclass(frozen=True, slots=True)
class Hardware:
    """Of a whole run. Nodes and links that are not named have `node` and `link`; a `link` of None: there is none.
    `host_ns`: from a host to its node. `notes`: assumptions that its reader must know."""

    node: NodeHardware = NodeHardware()
    link: LinkModel | None = LinkModel()
    nodes: Mapping[str, NodeHardware] = field(default_factory=dict)
    links: Mapping[frozenset[str], LinkModel] = field(default_factory=dict)
    host_ns: int = 0
    notes: tuple[str, ...] = ()

    def of_node(self, name: str) -> NodeHardware:
        return self.nodes.get(name, self.node)

    def of_link(self, a: str, b: str) -> LinkModel | None:
        return self.links.get(frozenset((a, b)), self.link)


@dataclass(frozen=True, slots=True)
class _Durations:
    init_ns: int
    gate1_ns: int
    gate2_ns: int
    readout_ns: int
    stores: bool
    note: str


_ASSUMED = "its papers do not state durations of gates: an order of magnitude is assumed"
_HOST_NS = 100_000
_CONTROL = "assumed: 0.1 ms from a host to its node, 1 us for a classical instruction"
_DURATIONS = {
    "nv-delft-2018": _Durations(
        310_000, 20_000, 500_000, 3_700, True, "durations of a carbon memory as in doi:10.1145/3341302.3342070"
    ),
    "siv-boston-2024": _Durations(100_000, 10_000, 50_000, 50_000, True, _ASSUMED),
    "sr-oxford-2020": _Durations(100_000, 10_000, 100_000, 500_000, True, _ASSUMED),
}

BRIGHT_STATE = 0.1
"""Bright-state probability at which single-click profiles run: of those published, one of good fidelity."""


def by_profile(name: str) -> Hardware:
    """All nodes and links of a published set-up. `HardwareFault` lists the names, or what a profile does not say."""
    profile = PROFILES.get(name)
    if profile is None:
        raise HardwareFault(f"expected a profile of {', '.join(PROFILES)}; found {name!r}")
    good = ", ".join(_DURATIONS)
    try:
        model = node_model(profile)
        hop = _hop(profile)
    except ValueError as fault:
        raise HardwareFault(f"{fault}, which programs need; those that do: {good}") from fault
    times = _DURATIONS.get(name)
    if times is None:
        raise HardwareFault(
            f"profile {name} does not say durations of gates, which programs need; those that do: {good}"
        )
    # A profile has one number for gates, of the worse ones.
    device = DeviceNoise(
        p1=model.gate, p2=model.gate, init_ns=times.init_ns, gate1_ns=times.gate1_ns, gate2_ns=times.gate2_ns,
        readout_ns=times.readout_ns,
    )  # fmt: skip
    noise = Node(model.memory, device)
    node = NodeHardware(noise, model.readout, memories=5, instruction_ns=1_000, stores=times.stores)
    # Halves have waited for the herald when they come.
    waited_s, decay = hop.stored_ns * 1e-9, model.decay
    x, y, z = (
        e * exp(-2 * rate * waited_s) for e, rate in zip(hop.state, (decay.x_hz, decay.y_hz, decay.z_hz), strict=True)
    )
    phi_plus, phi_minus, psi_plus, psi_minus = pair_of((x, y, z))
    link = LinkModel((phi_plus, phi_minus, psi_plus, psi_minus), hop.success, hop.cycle_ns, hop.light_ns)
    return Hardware(node, link, host_ns=_HOST_NS, notes=(f"{name}: {times.note}", _CONTROL))


def _hop(profile: HardwareProfile) -> Hop:
    """As the set-up was measured, or from its devices where it was measured at other settings. ValueError."""
    if profile.scheme == "single_click" and profile.pair_fidelity is None and profile.attempt_s is not None:
        found = clicks(profile, profile.scheme, 0.0, BRIGHT_STATE)
        return timed_hop(profile.scheme, profile.fibre_km, profile.attempt_s, found, profile.duty_factor)
    return measured_hop(profile, profile.fibre_km, stored=False)  # moving halves to memory is the node's work here


def by_network_config(config: Any) -> Hardware:
    """An application's `network.yaml`, parsed: the SDK's nodes (qubits with t1 and t2 in ns, gate_fidelity) and links
    (noise_type, fidelity). `HardwareFault` says where it is wrong.

    A gate is right with its gate_fidelity, and leaves white noise otherwise. A link's Depolarise and DiscreteDepolarise
    give the same state, white noise of that fidelity; Bitflip gives Psi+ for Phi+. Other nodes are not linked.
    """
    try:
        nodes = {str(row["name"]): _config_node(row) for row in config["nodes"]}
        links = {
            frozenset((str(row["node_name1"]), str(row["node_name2"]))): LinkModel(
                _config_pair(str(getattr(row["noise_type"], "value", row["noise_type"])), float(row["fidelity"]))
            )
            for row in config["links"]
        }
    except (KeyError, TypeError, ValueError) as fault:
        raise HardwareFault(f"network.yaml: expected the SDK's nodes and links; {fault!r}") from fault
    return Hardware(link=None, nodes=nodes, links=links)


def _config_node(row: Mapping[str, Any]) -> NodeHardware:
    qubits = list(row["qubits"])
    # The ledger has one noise for a node: that of the worst qubit, so no qubit is better than stated.
    t1_s = min((float(qubit["t1"]) or inf) for qubit in qubits) / 1e9
    t2_s = min((float(qubit["t2"]) or inf) for qubit in qubits) / 1e9
    right = float(row["gate_fidelity"])
    memory = MemoryNoise(t1_s=t1_s, t2_s=min(t2_s, 2 * t1_s))
    return NodeHardware(Node(memory, DeviceNoise(p1=right, p2=right)), memories=len(qubits))


def _config_pair(noise: str, fidelity: float) -> Bell4:
    match noise:
        case "NoNoise":
            return werner(1.0)
        case "Depolarise" | "DiscreteDepolarise":
            return werner(fidelity)
        case "Bitflip":
            return fidelity, 0.0, 1.0 - fidelity, 0.0
        case _:
            raise ValueError(f"expected NoNoise, Depolarise, DiscreteDepolarise or Bitflip, found {noise!r}")
