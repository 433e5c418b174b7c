"""Entangled pairs over chains and networks: processor time of each delivered pair, with SeQUeNCe and SimQN beside.

The same links, memories and requests for all. SeQUeNCe swaps in nested doubling after a handshake, and quoit plays
that policy and that handshake when it is compared with it, so rate and fidelity must agree as well, on chains and in
networks. SimQN brings no heralded retries: an application written for the purpose swaps as soon as it can, and so does
quoit when it is compared with SimQN.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

from quoit.engine.kernels.machine import Delivered, PairMachine, can_compile
from quoit.testing.bench.peers import SEQUENCE, SIMQN, Peer, PeerUnable
from quoit.testing.bench.workloads import Workload, chain, network

Figure = tuple[str, float, str, float | None, bool | None]
CHAINS = (3, 5, 9, 17, 33)
BOUNDS = {SEQUENCE: (1_000.0, 200.0), SIMQN: (100.0, 20.0)}
"""How many times less processor time a pair may take at least: compiled, in plain Python."""
ROUNDS = 3
PHYSICAL_CYCLE_NS = 100_000
MOST_MEMORY_MB = 500.0


@dataclass(frozen=True)
class Found:
    """What a simulator found. `gap_spread`: standard deviation of the time between pairs over its mean."""

    pairs: int
    seconds: float
    cpu_s: float
    fidelity: float
    fidelity_sigma: float
    gap_spread: float = 1.0

    @property
    def rate(self) -> float:
        """Pairs a second."""
        return self.pairs / self.seconds

    @property
    def rate_sigma(self) -> float:
        return self.gap_spread * sqrt(max(1, self.pairs)) / self.seconds

    @property
    def us(self) -> float:
        """Processor time of a pair; RuntimeError if there was none."""
        if not self.pairs:
            raise RuntimeError("the benchmark's workload brought no pair")
        return self.cpu_s / self.pairs * 1e6

    def said(self) -> str:
        return f"us/pair: {self.cpu_s / self.seconds:.2g} CPU s/s, {self.rate:.1f} pairs/s, F {self.fidelity:.4f}"


def ours(work: Workload, nested: bool, compiled: bool) -> Found:
    """quoit on the workload."""

    def rng(purpose: str, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[work.seed, 2 * number + (purpose == "attempts")]))

    machine = PairMachine(work.circuits(nested), rng, compiled)
    began = time.process_time()
    found = machine.run(round(work.seconds * 1e9))
    took = time.process_time() - began
    fidelity = found.fidelity
    return Found(len(found), work.seconds, took, float(fidelity.mean()), float(fidelity.std()), gap_spread(found))


def gap_spread(found: Delivered) -> float:
    """Standard deviation of the time between pairs of one path over its mean: the root of the mean square over paths,
    each with the weight of its pairs, so that the number of all pairs has this times the spread of a Poisson law."""
    variance, pairs = 0.0, 0
    for path in np.unique(found.circuit):
        gaps = np.diff(found.at_ns[found.circuit == path])
        if len(gaps) > 1:
            variance += len(gaps) * float(gaps.var() / gaps.mean() ** 2)
            pairs += len(gaps)
    return sqrt(variance / pairs) if pairs else 1.0


def theirs(peer: Peer, work: Workload) -> Found:
    found = peer.run(work.told())
    return Found(int(found["pairs"]), work.seconds, found["cpu_s"], found["fidelity"], found["fidelity_sigma"])


def ways() -> list[bool]:
    """Compiled and plain; plain alone without numba."""
    return [True, False] if can_compile() else [False]


def beside(peer: Peer, name: str, work: Workload, lasting: dict[bool, float]) -> Iterator[Figure]:
    """A peer on the workload and quoit with the same policy, in rounds before and after it. `lasting`: simulated
    seconds of quoit, compiled and plain, which are cheaper and so can be more."""
    nested = peer is SEQUENCE
    policy = "nested" if nested else "as soon as possible"
    rounds = {way: [ours(work.lasting(lasting[way]), nested, way)] for way in ways()}
    other, reason = None, ""
    try:
        other = theirs(peer, work)
    except PeerUnable as unable:
        reason = str(unable)
    for way in ways():
        rounds[way] += [ours(work.lasting(lasting[way]), nested, way) for _ in range(ROUNDS - 1)]
    if other is None:
        yield f"{name}, {peer.title}", 0.0, f"not run: {reason}", None, None
    else:
        yield f"{name}, {peer.title}", round(other.us, 1), other.said(), None, None
    for way, found in rounds.items():
        # As for the peer, whatever else the machine does counts: the middle round, not the best.
        middle = sorted(found, key=lambda one: one.us)[ROUNDS // 2]
        how = "compiled" if way else "plain"
        yield f"{name}, quoit {policy}, {how}", round(middle.us, 2), middle.said(), None, None
        if other is not None:
            bound = BOUNDS[peer][0 if way else 1]
            ratio = other.us / middle.us
            yield f"{name}, quoit {how} against {peer.name}", round(ratio), "x CPU/pair", bound, ratio >= bound
    if other is not None and nested:
        yield from agreement(name, other, rounds[ways()[0]][0])


def agreement(name: str, other: Found, found: Found) -> Iterator[Figure]:
    """Rate and fidelity beside SeQUeNCe's. Its own chance is counted in: three standard errors."""
    spread = found.gap_spread  # SeQUeNCe's pairs come in the same manner
    sigma = sqrt((spread * other.rate_sigma) ** 2 + found.rate_sigma**2)
    off = abs(other.rate - found.rate) / sigma
    yield f"{name}, rate against SeQUeNCe's", round(off, 2), "sigma", 3.0, off <= 3
    error = sqrt(other.fidelity_sigma**2 / other.pairs + found.fidelity_sigma**2 / found.pairs)
    off = abs(other.fidelity - found.fidelity)
    unit = f"(standard error {error:.4f}, allowed thrice besides)"
    yield f"{name}, fidelity against SeQUeNCe's", round(off, 4), unit, 0.005, off <= 0.005 + 3 * error


def chain_figures(scale: float) -> Iterator[Figure]:
    for nodes in CHAINS:
        name, work = f"chain of {nodes}", chain(nodes)
        peers_s = max(0.3, 40 * scale / nodes)
        lasting = {True: 3_000 * scale / nodes, False: 150 * scale / nodes}
        yield from beside(SEQUENCE, name, work.lasting(peers_s), lasting)
        yield from beside(SIMQN, name, work.lasting(peers_s), lasting)
        fastest = chain(nodes, cycle_ns=PHYSICAL_CYCLE_NS).lasting(lasting[ways()[0]])
        found = ours(fastest, True, ways()[0])
        yield f"{name}, quoit nested, cycle of 0.1 ms", round(found.us, 2), found.said(), None, None
    yield worst_ideal(scale)


def worst_ideal(scale: float) -> Figure:
    """Without decoherence a pair over h hops has the fidelity of h Werner pairs swapped: (1 + 3 w^h)/4."""
    worst = 0.0
    for nodes in CHAINS:
        work = chain(nodes, coherence_s=None).lasting(max(0.3, 3 * scale))
        w = (4 * work.fidelity - 1) / 3
        for nested in (True, False):
            off = ours(work, nested, ways()[0]).fidelity - (1 + 3 * w ** (nodes - 1)) / 4
            worst = max(worst, abs(off))
    return "chains without decoherence, fidelity off (1 + 3 w^h)/4", worst, "", 1e-9, worst <= 1e-9


def network_figures(scale: float) -> Iterator[Figure]:
    """SeQUeNCe builds with the routes of the requests alone. Runs of the large network are short for it, and shortest
    in a quick run, which leaves it out there: the small network stands for it."""
    small, large = network(100, 10), network(1_000, 100)
    lasting = {True: 40 * scale, False: 4 * scale}
    yield from beside(SEQUENCE, "100 nodes, 10 requests", small.lasting(max(0.3, scale)), lasting)
    if scale == 1:
        yield from beside(SEQUENCE, "1,000 nodes, 100 requests", large.lasting(0.2), {True: 4, False: 0.4})
    yield from beside(SIMQN, "1,000 nodes, 100 requests", large.lasting(max(0.2, scale)), {True: 4, False: 0.4})
    for way in ways():
        command = [sys.executable, "-m", "quoit.testing.bench.chains", str(int(way))]
        peak_mb = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        name = f"1,000 nodes, peak memory, {'compiled' if way else 'plain'}"
        yield name, round(peak_mb, 1), "MB", MOST_MEMORY_MB, peak_mb <= MOST_MEMORY_MB


def peak_memory_mb() -> float:
    """Of this process. Linux's `getrusage` would begin with the peak of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def figures(scale: float) -> Iterator[Figure]:
    """(name, value, unit, bound, holds)."""
    if can_compile():
        ours(chain(3), True, True)  # machine code is made, or read
    yield from chain_figures(scale)
    yield from network_figures(scale)


if __name__ == "__main__":
    ours(network(1_000, 100), True, sys.argv[1] == "1")
    print(peak_memory_mb())
