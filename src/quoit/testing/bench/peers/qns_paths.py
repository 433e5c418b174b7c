"""SimQN on the benchmark's paths. Run by its own environment's Python: the workload comes in as JSON on standard input,
the figures go out as JSON on standard output. See `quoit.testing.bench.workloads.Workload` for the fields.

What SimQN brings distributes without heralded retries, so this is the nearest equivalent in its own API: lossy quantum
channels, memories, packets, an application at each node that tries again each cycle and swaps as soon as it can.
It is cheaper than what quoit does: only the last swap of a pair is told to its ends, and no other. A hop whose memories
become free waits for the next tick of its cycle, where quoit's begins at once; a half is stored when it is sent or
received, where quoit's is when it is heralded.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from qns.entity.cchannel.cchannel import ClassicChannel, ClassicPacket, RecvClassicPacket
from qns.entity.memory.memory import QuantumMemory
from qns.entity.node.app import Application
from qns.entity.node.node import QNode
from qns.entity.qchannel.losschannel import QubitLossChannel
from qns.entity.qchannel.qchannel import RecvQubitPacket
from qns.models.epr import WernerStateEntanglement
from qns.simulator.event import Event
from qns.simulator.simulator import Simulator
from qns.utils.rnd import set_seed

LIGHT_M_PER_S = 2e8
SLOTS_PER_S = 1_000_000_000


class Port:
    """A node's part in one path: a memory on either side and the channels to its neighbours and to the ends."""

    def __init__(self, app: PathApp, path: int, rate_hz: float) -> None:
        self.app = app
        self.path = path
        self.left = QuantumMemory(capacity=1, decoherence_rate=rate_hz)
        self.right = QuantumMemory(capacity=1, decoherence_rate=rate_hz)
        self.confirmed = False
        self.quantum: Any = None
        self.to_left: Any = None
        self.to_head: Any = None
        self.to_tail: Any = None
        self.head: Any = None
        self.tail: Any = None
        self.neighbours: list[Any] = [None, None]


class Attempt(Event):  # type: ignore[misc]
    """A tick of a hop's cycle."""

    def __init__(self, t: Any, port: Port) -> None:
        super().__init__(t=t)
        self.port = port

    def invoke(self) -> None:
        self.port.app.attempt(self.port)


class PathApp(Application):  # type: ignore[misc]
    """Generates pairs with the next node of each path, again and again, and swaps as soon as both sides have one."""

    def __init__(self, cycle_s: float, fidelity: float, seen: list[float]) -> None:
        super().__init__()
        self.cycle_s = cycle_s
        self.fidelity = fidelity
        self.ports: dict[int, Port] = {}
        self.seen = seen
        self.add_handler(self.on_qubit, [RecvQubitPacket])
        self.add_handler(self.on_packet, [RecvClassicPacket])

    def install(self, node: Any, simulator: Any) -> None:
        super().install(node, simulator)
        self.cycle = simulator.time(sec=self.cycle_s)
        for port in self.ports.values():
            if port.quantum is not None:
                simulator.add_event(Attempt(simulator.ts, port))

    def attempt(self, port: Port) -> None:
        """Send one half to the next node, unless there is a pair already."""
        simulator = self._simulator
        simulator.add_event(Attempt(simulator.tc + self.cycle, port))
        if port.right.count:
            if port.confirmed:
                return
            port.right.read(0)  # nobody answered
        port.confirmed = False
        epr = WernerStateEntanglement(fidelity=self.fidelity)
        epr.path = port.path
        epr.left = port
        port.right.write(epr)
        port.quantum.send(epr, port.neighbours[1])

    def on_qubit(self, node: Any, event: Any) -> None:
        """A half has come: keep it if there is room, and say so."""
        epr = event.qubit
        port = self.ports[epr.path]
        if not port.left.write(epr):
            return
        epr.right = port
        port.to_left.send(ClassicPacket(f"ack {epr.path}", src=node), port.neighbours[0])
        self.swap(port)

    def on_packet(self, _node: Any, event: Any) -> None:
        command, path = event.packet.get().split()
        port = self.ports[int(path)]
        if command == "ack":
            port.confirmed = port.right.count > 0  # "done" may have overtaken it
            self.swap(port)
        elif port.head is None:
            self.hand_over(port, port.right)
            port.confirmed = False
        else:
            self.hand_over(port, port.left)

    def swap(self, port: Port) -> None:
        """Join both pairs if they are there; what the far halves suffered so far is brought up to date first."""
        if not (port.confirmed and port.left.count and port.right.count):
            return
        port.confirmed = False
        one, other = port.left.read(0), port.right.read(0)
        head, tail = one.left, other.right
        head.right.read(0)
        tail.left.read(0)
        epr = one.swapping(other)
        epr.path, epr.left, epr.right, epr.handed = port.path, head, tail, False
        head.right.write(epr)
        tail.left.write(epr)
        if head.head is None and tail.tail is None:
            port.to_head.send(ClassicPacket(f"done {port.path}"), port.head)
            port.to_tail.send(ClassicPacket(f"done {port.path}"), port.tail)

    def hand_over(self, _port: Port, memory: Any) -> None:
        """This end's half leaves its memory; the pair counts at the second end."""
        epr = memory.read(0)
        if epr.handed:
            self.seen.append(epr.fidelity)
        epr.handed = True


def classical(a: Any, b: Any, hops: int, hop_s: float) -> Any:
    """A channel over so many hops."""
    channel = ClassicChannel(delay=hops * hop_s)
    a.add_cchannel(channel)
    b.add_cchannel(channel)
    return channel


def lay(number: int, path: list[int], nodes: dict[int, Any], work: dict[str, Any]) -> None:
    """Ports and channels of one path."""
    hop_s = work["hop_m"] / LIGHT_M_PER_S
    rate_hz = 0.0 if work["coherence_s"] is None else 4 / (3 * work["coherence_s"])
    ends = nodes[path[0]], nodes[path[-1]]
    last = len(path) - 1
    ports = []
    for i, n in enumerate(path):
        app = nodes[n].apps[0]
        port = app.ports[number] = Port(app, number, rate_hz)
        nodes[n].add_memory(port.left)
        nodes[n].add_memory(port.right)
        port.head = ends[0] if i > 0 else None
        port.tail = ends[1] if i < last else None
        if 0 < i < last:
            port.to_head = classical(nodes[n], ends[0], i, hop_s)
            port.to_tail = classical(nodes[n], ends[1], last - i, hop_s)
        ports.append(port)
    for i, (left, right) in enumerate(pairwise(ports)):
        a, b = nodes[path[i]], nodes[path[i + 1]]
        left.quantum = QubitLossChannel(delay=hop_s, p_init=1 - work["success"])
        a.add_qchannel(left.quantum)
        b.add_qchannel(left.quantum)
        left.neighbours[1], right.neighbours[0] = b, a
        right.to_left = classical(a, b, 1, hop_s)


def main() -> None:
    """Read the workload, run it, print the figures."""
    work = json.load(sys.stdin)
    set_seed(work["seed"])
    began = time.process_time()
    simulator = Simulator(0, work["seconds"], accuracy=SLOTS_PER_S)
    seen: list[float] = []
    nodes: dict[int, Any] = {}
    for n in {n for path in work["paths"] for n in path}:
        nodes[n] = QNode(f"n{n}", apps=[PathApp(work["cycle_ns"] / SLOTS_PER_S, work["fidelity"], seen)])
    for number, path in enumerate(work["paths"]):
        lay(number, path, nodes, work)
    for node in nodes.values():
        node.install(simulator)
    built = time.process_time()
    simulator.run()
    took = time.process_time() - built
    found = {
        "pairs": len(seen),
        "fidelity": fmean(seen) if seen else 0.0,
        "fidelity_sigma": pstdev(seen) if seen else 0.0,
        "cpu_s": took,
        "build_s": built - began,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
