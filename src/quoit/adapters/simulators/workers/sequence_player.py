"""Plays scenarios in SeQUeNCe (PyPI `sequence`). It imports the standard library, SeQUeNCe and the
numpy that SeQUeNCe brings; see worker.py beside it.

Single states go through its own `Memory`, quantum managers, swapping and DEJMPS; pairs over time through its routers,
reservations, entanglement generation and swapping; keys through its QKD nodes. Where a version lacks one of these, the
figures are missing and the reason says so.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from sequence.kernel.timeline import Timeline

VERSION = version("sequence")
BELL_DIAGONAL = "bell_diagonal"
DENSITY = "density_matrix"
SINGLE_HERALDED = "single_heralded"
PS = 10**12
FIBRE_M_PER_PS = 2e-4
BATCHES = 32
OWN_CYCLE_DELAYS = 4.0

Figures = dict[str, tuple[float, float]]
Scenario = dict[str, Any]


class CannotPlayError(Exception):
    """Why a figure, or all of them, cannot be given."""


def capabilities() -> dict[str, Any]:
    """What the worker tells first."""
    return {
        "simulator": "sequence",
        "version": VERSION,
        "formalisms": ["ket_vector", DENSITY, BELL_DIAGONAL],
        "operations": ["generate (single heralded)", "wait", "swap", "purify (DEJMPS)", "circuit", "BB84"],
        "scenarios": sorted(kind for kind in PLAYS if not lacking(kind)),
        "deterministic": True,
        "clock": True,
    }


def play(scenario: Scenario) -> dict[str, Any]:
    """Figures as (value, standard error), reasons for those that are missing, assumptions."""
    figures, assumptions = {}, ASSUMPTIONS.get(scenario["kind"], [])
    try:
        if scenario["kind"] not in PLAYS:
            raise CannotPlayError("its player has nothing for this kind")
        if lacking(scenario["kind"]):
            raise CannotPlayError(f"version {VERSION} has no {lacking(scenario['kind'])}")
        figures = PLAYS[scenario["kind"]](scenario)
        missing = {}
    except CannotPlayError as why:
        missing = {"*": str(why)}
    found = {name: {"value": float(value), "sigma": float(sigma)} for name, (value, sigma) in figures.items()}
    return {"figures": found, "missing": missing, "assumptions": assumptions}


def lacking(kind: str) -> str:
    """What this version has not got that the kind needs; empty if nothing."""
    module, what = NEEDS.get(kind, ("", ""))
    try:
        return what if module and find_spec(module) is None else ""
    except ModuleNotFoundError:  # not even the package that would hold it
        return what


# --- single states --------------------------------------------------------------------------------------------------


def of_pair(state: Any) -> Figures:
    """Of a Bell-diagonal state in SeQUeNCe's order, which is Phi+, Phi-, Psi+, Psi-."""
    phi_plus, phi_minus, psi_plus, psi_minus = (float(p) for p in state)
    return {
        "fidelity": (phi_plus, 0.0),
        "error_z": (psi_plus + psi_minus, 0.0),
        "error_x": (phi_minus + psi_minus, 0.0),
    }


def werner(fidelity: float) -> list[float]:
    """Bell-diagonal state of a Werner pair."""
    return [fidelity, *[(1 - fidelity) / 3] * 3]


def bell_diagonal_timeline() -> Any:
    """A timeline whose pairs are Bell-diagonal. The formalism is a setting of the whole process."""
    return timeline_of(BELL_DIAGONAL)


def timeline_of(formalism: str) -> Any:
    """A timeline in this formalism."""
    from sequence.kernel.quantum_manager import QuantumManager

    QuantumManager.set_global_manager_formalism(formalism)
    return Timeline(formalism=formalism)


def memories(timeline: Any, owner: Any, count: int, pauli_hz: float = 0.0) -> list[Any]:
    """Memories of one node, holding nothing."""
    from sequence.components.memory import Memory

    made = []
    for number in range(count):
        time_s = 1 / pauli_hz if pauli_hz else -1
        memory = Memory(
            f"{owner.name}.memory-{number}", timeline, 1.0, 0, 1.0, time_s, 500, decoherence_errors=[1 / 3] * 3
        )
        memory.owner = owner
        memory.fidelity = 1.0
        made.append(memory)
    return made


def entangle(timeline: Any, a: Any, b: Any, state: list[float]) -> None:
    """Put a pair into two memories, as of now."""
    timeline.quantum_manager.set([a.qstate_key, b.qstate_key], state)
    for memory, other in ((a, b), (b, a)):
        memory.entangled_memory = {"node_id": other.owner.name, "memo_id": other.name}
        memory.last_update_time = timeline.now()


def nodes_of(timeline: Any, names: str, scenario: Scenario) -> list[Any]:
    """Nodes with the scenario's gates and readout."""
    from sequence.topology.node import Node

    made = []
    for number, name in enumerate(names):
        node = Node(name, timeline, seed=scenario["seed"] * 100 + number)
        node.gate_fid, node.meas_fid = scenario.get("gate", 1.0), scenario.get("readout", 1.0)
        made.append(node)
    return made


def wait(scenario: Scenario) -> Figures:
    """Two memories decohere by its closed form."""
    timeline = bell_diagonal_timeline()
    a, b = (memories(timeline, node, 1, scenario["pauli_hz"])[0] for node in nodes_of(timeline, "ab", scenario))
    timeline.time = PS  # a memory that was filled at 0 is taken for empty
    entangle(timeline, a, b, werner(scenario["fidelity"]))
    timeline.time += round(scenario["wait_s"] * PS)
    for memory in (a, b):
        memory.bds_decohere()
    return of_pair(timeline.quantum_manager.get(a.qstate_key).state)


def swap(scenario: Scenario) -> Figures:
    """The Bell-diagonal swapping protocol's own formula, not twirled."""
    from sequence.entanglement_management.swapping.swapping_bds import EntanglementSwappingA_BDS

    timeline = bell_diagonal_timeline()
    a, m, b = nodes_of(timeline, "amb", scenario)
    (left,), (right,), (one, other) = memories(timeline, a, 1), memories(timeline, b, 1), memories(timeline, m, 2)
    entangle(timeline, left, one, list(scenario["left"]))
    entangle(timeline, other, right, list(scenario["right"]))
    return of_pair(EntanglementSwappingA_BDS(m, "swap", one, other, is_twirled=False).swapping_res())


def dejmps(scenario: Scenario) -> Figures:
    """The DEJMPS protocol's own recurrence."""
    from sequence.entanglement_management.purification.dejmps_bds import DEJMPS_BDS

    timeline = bell_diagonal_timeline()
    a, b = nodes_of(timeline, "ab", scenario)
    (kept, spent), (far_kept, far_spent) = memories(timeline, a, 2), memories(timeline, b, 2)
    entangle(timeline, kept, far_kept, list(scenario["kept"]))
    entangle(timeline, spent, far_spent, list(scenario["spent"]))
    protocol = DEJMPS_BDS(a, "purify", kept, spent)
    protocol.remote_node_name, protocol.remote_memories = b.name, [far_kept.name, far_spent.name]
    success, state = protocol.purification_res()
    return {"success": (float(success), 0.0), **of_pair(state)}


# --- several qubits, as density matrices ----------------------------------------------------------------------------


def pair_matrix(fidelity: float) -> list[list[complex]]:
    """Density matrix of a Werner pair."""
    bell = np.zeros(4, dtype=complex)
    bell[0] = bell[3] = math.sqrt(0.5)
    white = (1 - fidelity) / 3
    rows: list[list[complex]] = ((fidelity - white) * np.outer(bell, bell) + white * np.eye(4)).tolist()
    return rows


def circuit(size: int, *gates: tuple[Any, ...]) -> Any:
    """One of SeQUeNCe's circuits: (name, qubits...)."""
    from sequence.components.circuit import Circuit

    made = Circuit(size)
    for name, *qubits in gates:
        getattr(made, name)(*qubits)
    return made


def found_matrix(manager: Any, keys: list[int]) -> Any:
    """Density matrix of just these qubits, in this order."""
    manager.run_circuit(circuit(len(keys)), keys)  # an empty circuit brings them to the front
    state = manager.get(keys[0])
    rho = np.array(state.state, dtype=complex)
    rest = 2 ** (len(state.keys) - len(keys))
    assert state.keys[: len(keys)] == keys
    return np.einsum("ikjk->ij", rho.reshape(2 ** len(keys), rest, 2 ** len(keys), rest))


def ghz(scenario: Scenario) -> Figures:
    """Pairs from the hub to each leaf are fused by CNOT, reading and X; the state is its own density matrix."""
    manager = timeline_of(DENSITY).quantum_manager
    rng = np.random.default_rng(scenario["seed"])
    keys: list[int] = []
    for _ in range(1, scenario["parties"]):
        near, far = manager.new(), manager.new()
        manager.set([near, far], pair_matrix(scenario["fidelity"]))
        if not keys:
            keys = [near, far]
            continue
        fuse = circuit(2, ("cx", 0, 1), ("measure", 1))
        if manager.run_circuit(fuse, [keys[0], near], rng.random())[near]:
            manager.run_circuit(circuit(1, ("x", 0)), [far])
        keys.append(far)
    rho = found_matrix(manager, keys)
    last = len(rho) - 1
    return {
        "fidelity": (float((rho[0, 0] + rho[last, last] + rho[0, last] + rho[last, 0]).real / 2), 0.0),
        "agree_z": (float((rho[0, 0] + rho[last, last]).real), 0.0),
        "parity_x": (float(sum(rho[k, last - k].real for k in range(last + 1))), 0.0),
    }


def teleport(scenario: Scenario) -> Figures:
    """CNOT, H, two readings and corrections in its density-matrix manager, averaged over `shots` outcomes."""
    manager = timeline_of(DENSITY).quantum_manager
    rng = np.random.default_rng(scenario["seed"])
    half = scenario["polar_rad"] / 2
    sent = np.array([math.cos(half), np.exp(1j * scenario["azimuth_rad"]) * math.sin(half)])
    found = []
    for _ in range(scenario["shots"]):
        data, near, far = manager.new(), manager.new(), manager.new()
        manager.set([data], np.outer(sent, sent.conj()).tolist())
        manager.set([near, far], pair_matrix(scenario["fidelity"]))
        bell = circuit(2, ("cx", 0, 1), ("h", 0), ("measure", 0), ("measure", 1))
        bits = manager.run_circuit(bell, [data, near], rng.random())
        for bit, gate in ((bits[near], "x"), (bits[data], "z")):
            if bit:
                manager.run_circuit(circuit(1, (gate, 0)), [far])
        rho = found_matrix(manager, [far])
        found.append(float((sent.conj() @ rho @ sent).real))
    return {"state_fidelity": mean_of(found)}


def mean_of(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error; 0 if all are alike up to rounding."""
    if max(values) - min(values) < 1e-9:
        return statistics.fmean(values), 0.0
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


# --- pairs over time ------------------------------------------------------------------------------------------------


def pair(scenario: Scenario) -> Figures:
    """One link of two routers."""
    return over_time({**scenario, "pauli_hz": 0.0}, hops=1, hop_km=scenario["length_km"])


def chain(scenario: Scenario) -> Figures:
    """Routers in a row; SeQUeNCe swaps them by nested doubling."""
    return over_time(scenario, scenario["hops"], scenario["hop_km"])


def over_time(scenario: Scenario, hops: int, hop_km: float) -> Figures:
    """Deliver pairs from end to end for the scenario's time."""
    if scenario["cycle_delays"] != OWN_CYCLE_DELAYS:
        raise CannotPlayError(f"an attempt takes {OWN_CYCLE_DELAYS:g} one-way light times here, whatever is asked for")
    if not 0.5 <= scenario["fidelity"] <= 1:
        raise CannotPlayError("heralded pairs need a fidelity from 1/2 up")
    topology = routers(scenario, hops, hop_km)
    routing = {node.name: node for node in topology.get_nodes_by_type("QuantumRouter")}
    delivered: list[tuple[int, float]] = []
    first, last = routing["r0"], routing[f"r{hops}"]
    taker_of(first, delivered)
    taker_of(last, [])
    timeline = topology.get_timeline()
    begin, duration = PS // 100, round(scenario["duration_s"] * PS)
    timeline.stop_time = begin + duration
    timeline.init()
    first.app.start(last.name, begin, begin + duration, 1, 0.1)
    timeline.run()
    return delivered_figures([(at - begin, f) for at, f in delivered], duration)


def routers(scenario: Scenario, hops: int, hop_km: float) -> Any:
    """The topology, with every protocol set to Bell-diagonal pairs and single heralding."""
    from sequence.entanglement_management.generation import EntanglementGenerationA, EntanglementGenerationB
    from sequence.topology.router_net_topo import RouterNetTopo

    for protocol in (EntanglementGenerationA, EntanglementGenerationB):
        protocol.set_global_type(SINGLE_HERALDED)  # each has its own: a station left out never heralds
    if hops > 1:
        from sequence.entanglement_management.swapping import EntanglementSwappingA, EntanglementSwappingB

        for swapper in (EntanglementSwappingA, EntanglementSwappingB):
            swapper.set_formalism(BELL_DIAGONAL)
    timeline_of(BELL_DIAGONAL)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # versions before 1.0 take nothing but a file
        json.dump(router_config(scenario, hops, hop_km), file)
        file.flush()
        return RouterNetTopo(file.name)


def router_config(scenario: Scenario, hops: int, hop_km: float) -> dict[str, Any]:
    """SeQUeNCe's own description of the network: a memory an end, two at each router between."""
    memory = {
        "fidelity": scenario["fidelity"],
        "efficiency": 1.0,
        "frequency": 2e8,
        "coherence_time": 1 / scenario["pauli_hz"] if scenario["pauli_hz"] else -1,
        "decoherence_errors": [1 / 3] * 3,
        "cutoff_flag": False,
    }
    detector = {"efficiency": scenario["detector"], "dark_count": 0, "time_resolution": 150, "count_rate": 5e7}
    station = {"detectors": [detector, dict(detector)], "success_rate": scenario["bell_success"]}
    seed = scenario["seed"] * 1000
    hop_m = hop_km * 1e3
    light_ps = hop_m / FIBRE_M_PER_PS
    return {
        "formalism": BELL_DIAGONAL,
        "is_parallel": False,
        "templates": {
            "router": {"MemoryArray": memory},
            "station": {"encoding_type": SINGLE_HERALDED, "SingleHeraldedBSM": station},
        },
        "nodes": [
            {
                "name": f"r{k}",
                "type": "QuantumRouter",
                "seed": seed + k,
                "memo_size": 1 if k in (0, hops) else 2,
                "template": "router",
            }
            for k in range(hops + 1)
        ],
        "qconnections": [
            {
                "node1": f"r{k}",
                "node2": f"r{k + 1}",
                "attenuation": scenario["attenuation_db_per_km"] / 1e3,
                "distance": round(hop_m),
                "type": "meet_in_the_middle",
                "seed": seed + 500 + k,
                "template": "station",
            }
            for k in range(hops)
        ],
        "cconnections": [
            {"node1": f"r{i}", "node2": f"r{j}", "delay": round((j - i) * light_ps)}
            for i in range(hops + 1)
            for j in range(i + 1, hops + 1)
        ],
    }


def taker_of(router: Any, delivered: list[tuple[int, float]]) -> None:
    """An application that notes each pair between the two ends and gives its memory back."""
    from sequence.app.request_app import RequestApp

    class Taker(RequestApp):  # type: ignore[misc]  # SeQUeNCe is not typed
        def get_memory(self, info: Any) -> None:
            reservation = self.memo_to_reservation.get(info.index)
            if info.state != "ENTANGLED" or reservation is None:
                return
            if info.remote_node in (reservation.initiator, reservation.responder):
                delivered.append((self.node.timeline.now(), float(info.fidelity)))
                self.node.resource_manager.update(None, info.memory, "RAW")

    Taker(router)


def delivered_figures(delivered: list[tuple[int, float]], duration_ps: int) -> Figures:
    """Rate and mean fidelity; errors from the scatter of parts of the run, so that correlations are in them."""
    parts: list[list[float]] = [[] for _ in range(BATCHES)]
    for at, fidelity in delivered:
        parts[min(BATCHES - 1, at * BATCHES // duration_ps)].append(fidelity)
    if min(map(len, parts)) < 2:
        raise CannotPlayError(f"{len(delivered)} pairs were delivered, too few for a standard error")
    counts = [len(part) for part in parts]
    rate = len(delivered) / duration_ps * PS
    spread = statistics.stdev(counts) / statistics.fmean(counts) / math.sqrt(BATCHES)
    values = [fidelity for _, fidelity in delivered]
    fidelity = statistics.fmean(values)
    sigma = 0.0
    if max(values) - min(values) > 1e-12:
        sigma = statistics.stdev([statistics.fmean(part) for part in parts]) / math.sqrt(BATCHES)
    error = (2 * (1 - fidelity) / 3, 2 * sigma / 3)  # its swapping leaves Werner states
    return {"rate_hz": (rate, rate * spread), "fidelity": (fidelity, sigma), "error_z": error, "error_x": error}


# --- keys -----------------------------------------------------------------------------------------------------------

KEY_BITS = 128


def bb84(scenario: Scenario) -> Figures:
    """Its BB84 between two QKD nodes: keys of 128 sifted bits, compared bit by bit."""
    from sequence.components.optical_channel import ClassicalChannel, QuantumChannel
    from sequence.qkd.BB84 import pair_bb84_protocols
    from sequence.topology.node import QKDNode

    np.random.seed(scenario["seed"])
    duration_ps = round(scenario["duration_s"] * PS)
    timeline = Timeline(duration_ps + PS // 10)
    alice, bob = (QKDNode(name, timeline, stack_size=1, seed=scenario["seed"] * 10 + k) for k, name in enumerate("ab"))
    sender, receiver = alice.protocol_stack[0], bob.protocol_stack[0]
    pair_bb84_protocols(sender, receiver)
    metres, loss = scenario["length_km"] * 1e3, scenario["attenuation_db_per_km"] / 1e3
    for number, (here, there) in enumerate(((alice, bob), (bob, alice))):
        # A photon that its channel disturbs has a random polarisation: wrong half of the time.
        straight = 1 - 2 * scenario["misalignment"]
        quantum = QuantumChannel(f"q{number}", timeline, loss, metres, polarization_fidelity=straight, frequency=8e7)
        quantum.set_ends(here, there.name)
        quantum.owner = here  # a channel without one draws its noise from a generator that nobody has seeded
        classical = ClassicalChannel(f"c{number}", timeline, metres)
        classical.set_ends(here, there.name)
        here.update_lightsource_params("frequency", scenario["clock_hz"])
        here.update_lightsource_params("mean_photon_num", scenario["mean_photons"])
        for detector in range(2):
            here.components[f"{here.name}.qsdetector"].set_detector(
                detector, scenario["detector"], scenario["dark_hz"], count_rate=10**9, time_resolution=10
            )
    timeline.init()
    sender.push(KEY_BITS, math.inf, duration_ps)
    begin_ps = sender.start_time
    timeline.run()
    return sifted_figures(scenario, sender, duration_ps - begin_ps)


def sifted_figures(scenario: Scenario, sender: Any, light_ps: int) -> Figures:
    """Pulses go in trains; those whose bits had not been compared at the end do not count, nor does their time."""
    train_s = KEY_BITS / (scenario["clock_hz"] * scenario["mean_photons"])
    sent = math.ceil(light_ps / PS / train_s)
    light_s = (sent - len(sender.bit_lists)) * train_s
    keys = len(sender.error_rates)
    if not keys:
        raise CannotPlayError("no key was sifted in the scenario's time")
    compared = keys * KEY_BITS
    sifted = compared + len(sender.key_bits)
    wrong = round(sum(sender.error_rates) * KEY_BITS)
    return {"sifted_hz": (sifted / light_s, math.sqrt(sifted) / light_s), "qber": share(wrong, compared)}


def share(found: int, of: int) -> tuple[float, float]:
    """A share and its standard error, at (k + 1)/(n + 2): none of n seen is not proof of none."""
    p = (found + 1) / (of + 2)
    return found / of, math.sqrt(p * (1 - p) / of)


PLAYS = {
    "pair": pair,
    "wait": wait,
    "swap": swap,
    "dejmps": dejmps,
    "chain": chain,
    "bb84": bb84,
    "ghz": ghz,
    "teleport": teleport,
}

NEEDS = {
    "swap": ("sequence.entanglement_management.swapping.swapping_bds", "swapping of Bell-diagonal pairs"),
    "chain": ("sequence.entanglement_management.swapping.swapping_bds", "swapping of Bell-diagonal pairs"),
    "dejmps": ("sequence.entanglement_management.purification.dejmps_bds", "DEJMPS of Bell-diagonal pairs"),
}
"""Modules that came with a version from 1.0 on."""

ASSUMPTIONS = {
    "pair": ["an attempt is 10 ps longer than its messages and photons take", "a memory is excited at most each 5 ns"],
    "chain": [
        "pairs are twirled to Werner states at each swap",
        "the path is reserved before the time of the run begins",
    ],
    "bb84": ["clicks of both detectors in one period are dropped", "dark counts go to the nearest pulse"],
    "ghz": ["qubits do not decay in its density matrices"],
    "teleport": ["qubits do not decay in its density matrices"],
}
