"""How late pairs come in a live world: circuits of many hops in real time on one core. Never early is the promise."""

from __future__ import annotations

import asyncio
import time

from quoit.engine.api import PAIRS, CircuitCounted, InstallCircuit, MorePairs, Operate, PairHeld
from quoit.engine.channels import PairLink
from quoit.engine.entangler import Entangler
from quoit.engine.ledger import Node
from quoit.engine.program import Circuit
from quoit.engine.world import TrueLink, TrueSpan, World
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LiveWorld
from quoit.testing.bench.workloads import Workload

AHEAD = 8
"""Pairs that each circuit is asked for at a time; each that was delivered is asked for anew."""


class Sink(Element):
    """Head of one circuit: notes when each pair came and when it was due, drops it, asks for another."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, number: int, circuit: Circuit) -> None:
        super().__init__(f"sink:{number}", "engine")
        self._number = number
        self._circuit = circuit
        self.came: list[tuple[int, int]] = []

    async def start(self, ctx: Context) -> None:
        program = Circuit(self._circuit.nodes, self._circuit.hops, self._circuit.width, AHEAD)
        slots = tuple(range(AHEAD))
        links = tuple(f"{self._number}.{hop}" for hop in range(len(program.hops)))
        ends = f"head{self._number}", f"tail{self._number}"
        name = f"circuit {self._number}"
        ctx.tell(PAIRS, InstallCircuit(name, links, *ends, self.name, f"{self.name}'", program, slots, slots))

    @handles(PairHeld)
    async def on_held(self, ctx: Context, msg: PairHeld) -> None:
        self.came.append((msg.at_ns, time.monotonic_ns()))
        for end in ("head", "tail"):
            await ctx.ask(PAIRS, Operate(f"{end}{self._number}", "discard", (msg.slot,)), within=10**9)
        ctx.tell(PAIRS, MorePairs(msg.circuit, msg.slot, msg.slot))

    @handles(CircuitCounted)
    async def on_counted(self, ctx: Context, msg: CircuitCounted) -> None:
        """Not looked at here."""


class Silent(Element):
    """Tail of a circuit."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    @handles(PairHeld)
    async def on_held(self, ctx: Context, msg: PairHeld) -> None:
        """The head has noted it."""


def lateness_ms(work: Workload, seconds: float) -> tuple[list[float], float]:
    """Lateness of each pair, sorted (negative would be early), and the processor's share of real time."""
    circuits = work.circuits(False)
    spans, links, plans = {}, {}, []
    for number, circuit in enumerate(circuits):
        for hop in range(len(circuit.hops)):
            name = f"{number}.{hop}"
            spans[name], links[name] = TrueSpan(name, 4.0), TrueLink(name, (name,))
            plans.append(PairLink(name, 4.0, 2))
    entangler = Entangler(World(spans, links), tuple(plans), dict[str, Node](), work.seed)
    sinks = [Sink(number, circuit) for number, circuit in enumerate(circuits)]
    kernel = Kernel([entangler, *sinks, *(Silent(f"{sink.name}'", "engine") for sink in sinks)], seed=work.seed)

    async def main() -> int:
        world = LiveWorld(kernel)
        kernel.start()
        wall = time.monotonic_ns()
        world.begin(wall_ns=wall, stop_at=round(seconds * 1e9))
        await world.ended()
        world.end()
        return wall

    began = time.process_time()
    wall = asyncio.run(main())
    share = (time.process_time() - began) / seconds
    return sorted((at - wall - due) / 1e6 for sink in sinks for due, at in sink.came), share
