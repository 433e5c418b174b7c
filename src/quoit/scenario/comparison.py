"""One demand under several compilers: each makes its circuit, the engine runs it twice, the figures are compared.

The first run asks for all pairs at once and measures the rate. The second asks for one pair at a time, with a pause
after each, and measures how long an application waits, and what memories cost that are kept ready meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

import numpy as np
from numpy.typing import NDArray

from quoit.engine.kernels.machine import Counts, PairMachine
from quoit.engine.program import Circuit
from quoit.fabric.programs.demand import GROUP, Compiled, Compiler, Demand, Promise, Refused

STEPS = 64
"""A run is looked at so often within the time that its slowest link needs for all pairs."""
PATIENCE = 1_000
"""A run without a limit ends after so many times that time."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one compiler's circuit did. `rate_hz`: pairs per second when all are asked for at once. Fidelities of these
    pairs: mean and the 5th of a hundred. `latency_*_s`: from asking for one pair to its delivery at both ends.
    `memory_s`, `messages`: per delivered pair; `memory_alone_s`: when pairs are asked for one at a time. `expired`:
    qubits discarded by a cut-off in the first run. None: nothing was delivered."""

    delivered: int
    rate_hz: float | None
    fidelity: float | None
    fidelity_p5: float | None
    fidelity_least: float | None
    fidelity_alone: float | None
    latency_p50_s: float | None
    latency_p99_s: float | None
    memory_s: float | None
    memory_alone_s: float | None
    messages: float | None
    expired: int
    fidelities: tuple[float, ...]
    latencies_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A compiler by name, and what it promised and did, or why it refused (`could_have`: the floor it could keep)."""

    compiler: str
    promise: Promise | None = None
    cutoff_ns: int | None = None
    rounds: Mapping[int, int] | None = None
    figures: Figures | None = None
    refused: str | None = None
    could_have: float | None = None

    @property
    def broke_promise(self) -> bool:
        """Was a pair delivered that the compiler said there would not be? 1e-9 for rounding."""
        if self.promise is None or self.figures is None or self.figures.fidelity_least is None:
            return False
        return self.figures.fidelity_least < self.promise.least - 1e-9


def installed() -> dict[str, EntryPoint]:
    """All compilers that this Python can find, by name; none of them is loaded yet."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def compare(
    demand: Demand,
    compilers: Mapping[str, Compiler],
    seed: int,
    idle_ns: int | None = None,
    limit_ns: int | None = None,
    compiled: bool | None = None,
) -> list[Row]:
    """A row for each compiler, in order. Every link and circuit draws the same random streams under each. `idle_ns`:
    pause before the next pair that is asked for alone, ten times a link's mean wait if not given. `limit_ns`: end of
    each run. Raises ValueError for a demand without a number of pairs."""
    if demand.pairs is None:
        raise ValueError("expected a number of pairs to compare on, found none")
    rows = []
    for name, compiler in compilers.items():
        try:
            made = compiler.compile(demand)
        except Refused as refusal:
            rows.append(Row(name, refused=str(refusal), could_have=refusal.could_have))
            continue
        runner = _Runner(demand, made, seed, idle_ns, limit_ns, compiled)
        inner = [node.cutoff_ns for node in made.circuit.nodes if node.cutoff_ns is not None]
        rounds = dict(made.circuit.purification.rounds)
        rows.append(Row(name, made.promise, min(inner, default=None), rounds, runner.figures()))
    return rows


class _Runner:
    def __init__(
        self,
        demand: Demand,
        made: Compiled,
        seed: int,
        idle_ns: int | None,
        limit_ns: int | None,
        compiled: bool | None,
    ) -> None:
        self.pairs = demand.pairs or 0
        self.made = made
        self.seed = seed
        slowest = max(link.cycle_ns / link.success for link in demand.links)
        self.step_ns = max(1, int(slowest * self.pairs / STEPS))
        self.idle_ns = int(10 * slowest) if idle_ns is None else idle_ns
        self.limit_ns = int(PATIENCE * slowest * self.pairs) if limit_ns is None else limit_ns
        self.compiled = compiled

    def figures(self) -> Figures:
        """Both runs."""
        at_ns, fidelities, counts = self._together()
        latencies, alone, alone_counts = self._alone()
        n, many = len(at_ns), len(fidelities) > 0
        sent = counts.messages + counts.swaps * self.made.handshake_messages
        return Figures(
            delivered=n,
            rate_hz=n / (at_ns[-1] / 1e9) if n else None,
            fidelity=float(fidelities.mean()) if many else None,
            fidelity_p5=float(np.quantile(fidelities, 0.05)) if many else None,
            fidelity_least=float(fidelities.min()) if many else None,
            fidelity_alone=float(np.mean(alone)) if len(alone) else None,
            latency_p50_s=float(np.quantile(latencies, 0.5)) if len(latencies) else None,
            latency_p99_s=float(np.quantile(latencies, 0.99)) if len(latencies) else None,
            memory_s=counts.memory_ns / 1e9 / n if n else None,
            memory_alone_s=alone_counts.memory_ns / 1e9 / len(alone) if len(alone) else None,
            messages=sent / n if n else None,
            expired=counts.expired,
            fidelities=tuple(fidelities.tolist()),
            latencies_s=tuple(latencies),
        )

    def _machine(self, circuit: Circuit) -> PairMachine:
        return PairMachine([circuit], self._rng, self.compiled)

    def _rng(self, purpose: str, number: int) -> np.random.Generator:
        name = f"compare\x1f{self.seed}\x1f{purpose}\x1f{number}".encode()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(name).digest()[:16], "big")))

    def _standby(self) -> bool:
        circuit = self.made.circuit
        return circuit.wanted is None and any(node.swap and node.swap.on_demand for node in circuit.nodes)

    def _together(self) -> tuple[list[int], NDArray[np.float64], Counts]:
        machine = self._machine(self.made.circuit if self._standby() else replace(self.made.circuit, wanted=0))
        machine.demand(0, self.pairs)
        at_ns: list[int] = []
        fidelities: list[NDArray[np.float64]] = []
        while len(at_ns) < self.pairs and machine.now_ns < self.limit_ns:
            found = machine.run(min(self.limit_ns, machine.now_ns + self.step_ns))
            at_ns += found.at_ns.tolist()
            fidelities.append(found.fidelity)
        return sorted(at_ns), np.concatenate(fidelities), machine.counts(0)

    def _alone(self) -> tuple[list[float], list[float], Counts]:
        machine = self._machine(self.made.circuit if self._standby() else replace(self.made.circuit, wanted=0))
        latencies: list[float] = []
        fidelities: list[float] = []
        asked_ns, step_ns = self.idle_ns, max(1, self.idle_ns)
        while len(latencies) < self.pairs and machine.now_ns < self.limit_ns:
            machine.run(asked_ns)
            machine.demand(0, 1)
            while machine.now_ns < self.limit_ns:
                found = machine.run(min(self.limit_ns, machine.now_ns + step_ns))
                if len(found):
                    break
            else:
                break
            delivered_ns = int(found.at_ns[0])
            latencies.append((delivered_ns - asked_ns) / 1e9)
            fidelities.append(float(found.fidelity[0]))
            asked_ns = max(machine.now_ns, delivered_ns + self.idle_ns)
        return latencies, fidelities, machine.counts(0)
