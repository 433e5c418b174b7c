"""Plays scenarios in QuNetSim (PyPI `qunetsim`) on its EQSN back end. Standard library and QuNetSim only.

QuNetSim has hosts that do things and qubits that can be measured: no simulated time, no decay, no detectors, and no
state of qubits that several hosts hold. So this player measures and counts, over `shots` repetitions; rates and
fidelities are missing, and so is every scenario with noise in it.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

from qunetsim.components import Host, Network
from qunetsim.objects import Qubit

NO_CLOCK = "it has no simulated clock: its threads run on the wall clock"
NO_FIDELITY = "it knows no state of qubits at several hosts; it measures, so its error rates are counted"
NO_NOISE = "its pairs and gates are perfect and its memories do not decay"
WAIT_S = 10
TRIES = 3

Scenario = dict[str, Any]
Figures = dict[str, tuple[float, float]]


class CannotPlayError(Exception):
    """Why a whole scenario cannot be played."""


def capabilities() -> dict[str, Any]:
    """What the worker tells first."""
    return {
        "simulator": "qunetsim",
        "version": version("qunetsim"),
        "formalisms": ["ket_vector"],
        "operations": ["send_epr", "send_qubit", "send_teleport", "entanglement swapping", "gates", "measure"],
        "scenarios": sorted(PLAYS),
        "deterministic": False,
        "clock": False,
    }


def play(scenario: Scenario) -> dict[str, Any]:
    """Counted figures; `missing` by name, or by "*" for all that are left."""
    kind = scenario["kind"]
    missing = dict(NEVER.get(kind, {}))
    figures: Figures = {}
    try:
        if kind not in PLAYS:
            raise CannotPlayError(missing.pop("*", "its player has nothing for this kind"))
        figures = PLAYS[kind](scenario)
    except CannotPlayError as why:
        missing["*"] = str(why)
    found = {name: {"value": value, "sigma": sigma} for name, (value, sigma) in figures.items()}
    return {"figures": found, "missing": missing, "assumptions": ["states are vectors, outcomes are drawn"]}


class Hosts:
    """Hosts for the time of one scenario. There is one network in a process, and it is started once; names are fresh,
    since it remembers hosts that are gone."""

    played = itertools.count()

    def __init__(self, names: list[str], star: bool = False) -> None:
        self.network = Network.get_instance()
        play = next(self.played)
        if play == 0:
            self.network.delay = 0
            self.network.use_ent_swap = True
            self.network.start()
        fresh = {name: f"{name}-{play}" for name in names}
        self.ids = fresh
        self.hosts: dict[str, Any] = {name: Host(fresh[name]) for name in names}
        for k, name in enumerate(names[1:]):
            near = names[0] if star else names[k]
            self.hosts[near].add_connection(fresh[name])
            self.hosts[name].add_connection(fresh[near])
        for host in self.hosts.values():
            host.delay = 0
            host.max_ack_wait = WAIT_S
            host.start()
            self.network.add_host(host)

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *fault: object) -> None:
        for host in self.hosts.values():
            host.stop(release_qubits=False)

    def pair(self, a: str, b: str) -> tuple[Any, Any]:
        """A pair between two hosts, however many others lie between them."""
        ends: tuple[Any, Any] = self.arrived(lambda: self._paired(a, b))
        return ends

    def _paired(self, a: str, b: str) -> tuple[Any, Any] | None:
        q_id, known = self.hosts[a].send_epr(self.ids[b], await_ack=True)
        if not known:
            return None
        near = self.hosts[a].get_epr(self.ids[b], q_id, wait=WAIT_S)
        far = self.hosts[b].get_epr(self.ids[a], q_id, wait=WAIT_S)
        return None if near is None or far is None else (near, far)

    def arrived(self, once: Callable[[], Any]) -> Any:
        """What came of it; its threads now and then lose a message of each other, so it is tried three times."""
        for _ in range(TRIES):
            found = once()
            if found is not None:
                return found
        raise RuntimeError(f"QuNetSim lost the same thing {TRIES} times, after {WAIT_S} s each")


def need_perfect(scenario: Scenario, *pairs: str) -> None:
    """Refuse all that QuNetSim has no model of."""
    noisy = (
        scenario.get("fidelity", 1.0) != 1.0
        or any(scenario[name][0] != 1.0 for name in pairs)
        or scenario.get("gate", 1.0) != 1.0
        or scenario.get("readout", 1.0) != 1.0
        or scenario.get("pauli_hz", 0.0) != 0.0
    )
    if noisy:
        raise CannotPlayError(NO_NOISE)


def share(found: int, of: int) -> tuple[float, float]:
    """A share and its standard error, at (k + 1)/(n + 2): none of n seen is not proof of none."""
    p = (found + 1) / (of + 2)
    return found / of, math.sqrt(p * (1 - p) / of)


def errors_of(hosts: Hosts, a: str, b: str, shots: int) -> Figures:
    """How often the ends of pairs differ, every other pair measured in Z and in X."""
    wrong, of = {"z": 0, "x": 0}, {"z": 0, "x": 0}
    for shot in range(max(2, shots)):
        basis = "zx"[shot % 2]
        ends = hosts.pair(a, b)
        if basis == "x":
            for end in ends:
                end.H()
        of[basis] += 1
        wrong[basis] += ends[0].measure() != ends[1].measure()
    return {f"error_{basis}": share(wrong[basis], of[basis]) for basis in "zx"}


def pair(scenario: Scenario) -> Figures:
    """Two hosts, `send_epr`."""
    need_perfect(scenario)
    with Hosts(["a", "b"]) as hosts:
        return errors_of(hosts, "a", "b", scenario["shots"])


def swap(scenario: Scenario) -> Figures:
    """Three hosts in a row; its network swaps by teleportation at the middle one."""
    need_perfect(scenario, "left", "right")
    with Hosts(["a", "m", "b"]) as hosts:
        return errors_of(hosts, "a", "b", scenario["shots"])


def chain(scenario: Scenario) -> Figures:
    """Hosts in a row; its network swaps hop after hop."""
    need_perfect(scenario)
    names = [f"r{k}" for k in range(scenario["hops"] + 1)]
    with Hosts(names) as hosts:
        return errors_of(hosts, names[0], names[-1], scenario["shots"])


def dejmps(scenario: Scenario) -> Figures:
    """The circuit at both ends of two pairs: rotations about X, CNOT, readings."""
    need_perfect(scenario, "kept", "spent")
    worked, wrong, of = 0, {"z": 0, "x": 0}, {"z": 0, "x": 0}
    with Hosts(["a", "b"]) as hosts:
        for shot in range(scenario["shots"]):
            kept, spent = hosts.pair("a", "b"), hosts.pair("a", "b")
            bits = []
            for angle, keeps, reads in zip((math.pi / 2, -math.pi / 2), kept, spent, strict=True):
                keeps.rx(angle)
                reads.rx(angle)
                keeps.cnot(reads)
                bits.append(reads.measure())
            basis = "zx"[shot % 2]
            if basis == "x":
                for end in kept:
                    end.H()
            differ = kept[0].measure() != kept[1].measure()
            if bits[0] == bits[1]:
                worked += 1
                of[basis] += 1
                wrong[basis] += differ
    if not all(of.values()):
        raise CannotPlayError("too few repetitions succeeded to count errors")
    return {"success": share(worked, scenario["shots"]), **{f"error_{b}": share(wrong[b], of[b]) for b in "zx"}}


def sent_qubit(alice: Any, bob: Any, bit: int, basis: int) -> Any:
    """The qubit at the far end, or None."""
    sent = Qubit(alice)
    if bit:
        sent.X()
    if basis:
        sent.H()
    q_id, known = alice.send_qubit(bob.host_id, sent, await_ack=True)
    return bob.get_data_qubit(alice.host_id, q_id, wait=WAIT_S) if known else None


def bb84(scenario: Scenario) -> Figures:
    """Single qubits in a random one of four states, measured in a random basis."""
    if scenario["misalignment"] or scenario["dark_hz"]:
        raise CannotPlayError("its receiver has no detectors: no dark counts, no misalignment")
    dice = random.Random(scenario["seed"])
    wrong = sifted = 0
    with Hosts(["a", "b"]) as hosts:
        alice, bob = hosts.hosts["a"], hosts.hosts["b"]
        for _ in range(scenario["shots"]):
            bit, basis, other = (dice.getrandbits(1) for _ in range(3))
            found = hosts.arrived(partial(sent_qubit, alice, bob, bit, basis))
            if other:
                found.H()
            value = found.measure()
            if other == basis:
                sifted += 1
                wrong += value != bit
    if not sifted:
        raise CannotPlayError("too few shots: no bit was sifted")
    return {"qber": share(wrong, sifted)}


def ghz(scenario: Scenario) -> Figures:
    """Pairs from the hub to each leaf, fused at the hub; every other state read in Z and in X."""
    need_perfect(scenario)
    leaves = [f"leaf{k}" for k in range(1, scenario["parties"])]
    alike = even = of_z = of_x = 0
    with Hosts(["hub", *leaves], star=True) as hosts:
        for shot in range(max(2, scenario["shots"])):
            ends = list(hosts.pair("hub", leaves[0]))
            for leaf in leaves[1:]:
                near, far = hosts.pair("hub", leaf)
                ends[0].cnot(near)
                if near.measure():
                    far.X()
                ends.append(far)
            if shot % 2:
                for end in ends:
                    end.H()
            bits = [end.measure() for end in ends]
            if shot % 2:
                of_x += 1
                even += sum(bits) % 2 == 0
            else:
                of_z += 1
                alike += len(set(bits)) == 1
    share_even, sigma = share(even, of_x)
    return {"agree_z": share(alike, of_z), "parity_x": (2 * share_even - 1, 2 * sigma)}


def teleported(alice: Any, bob: Any, polar: float, azimuth: float) -> Any:
    """The qubit at the far end, or None."""
    sent = Qubit(alice)
    sent.ry(polar)
    sent.rz(azimuth)
    q_id = sent.id
    _, shared = alice.send_epr(bob.host_id, await_ack=True)
    known = shared and alice.send_teleport(bob.host_id, sent, await_ack=True, generate_epr_if_none=False)
    return bob.get_data_qubit(alice.host_id, q_id, wait=WAIT_S) if known else None


def teleport(scenario: Scenario) -> Figures:
    """`send_teleport`, then the preparation backwards: the share of zeros is the fidelity of what arrived."""
    need_perfect(scenario)
    polar, azimuth = scenario["polar_rad"], scenario["azimuth_rad"]
    zeros = 0
    with Hosts(["a", "b"]) as hosts:
        alice, bob = hosts.hosts["a"], hosts.hosts["b"]
        for _ in range(scenario["shots"]):
            found = hosts.arrived(partial(teleported, alice, bob, polar, azimuth))
            found.rz(-azimuth)
            found.ry(-polar)
            zeros += found.measure() == 0
    return {"state_fidelity": share(zeros, scenario["shots"])}


PLAYS = {"pair": pair, "swap": swap, "chain": chain, "dejmps": dejmps, "bb84": bb84, "ghz": ghz, "teleport": teleport}

NEVER = {
    "pair": {"rate_hz": NO_CLOCK, "fidelity": NO_FIDELITY},
    "chain": {"rate_hz": NO_CLOCK, "fidelity": NO_FIDELITY},
    "swap": {"fidelity": NO_FIDELITY},
    "dejmps": {"fidelity": NO_FIDELITY},
    "bb84": {"sifted_hz": NO_CLOCK},
    "ghz": {"fidelity": NO_FIDELITY},
    "wait": {"*": "it has no simulated clock, and its memories do not decay"},
}
