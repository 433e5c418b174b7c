"""Circuits whose pairs nobody keeps: both ends read their halves as these are handed over, and count.

Circuits run in the pair machine like those of the entangler, in slices of a chunk; what happens to the world takes
effect at the next slice. An end's memory is free for the next pair when its readout is over. Where two circuits share
a link each has memories of its own there; control sees to it that there are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from quoit.engine.api import MEASURED, Chunk, CloseLink, MeasurePairs
from quoit.engine.attempts import AttemptBoard, Tally
from quoit.engine.channels import PairLink, known_share, nodes_along, state_now, success_now
from quoit.engine.kernels.machine import PairMachine
from quoit.engine.links.pairs import Settings, measured
from quoit.engine.program import WINDOW_NS, Circuit, Hop
from quoit.engine.world import World
from quoit.model.problem import Problem
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

HERALDS_A_SLICE = 50
"""So few that a slice takes a live twin no longer than some milliseconds."""
SHORTEST_SLICE_NS = 1_000_000
WITHOUT_END = 2**40
"""Pairs that are asked for of a program which swaps on demand alone: more than any run delivers."""


@dataclass(frozen=True)
class MeasuredPlan:
    """How the engine runs one such link: whom the chunks go to, how long a chunk lasts, in which settings the ends
    read."""

    link: str
    receiver: str
    chunk_ns: int
    settings: Settings


@dataclass(frozen=True)
class Reader:
    """A node's device that reads qubits: probability of a right result, and how long it takes."""

    right: float = 1.0
    takes_ns: int = 0


@message("engine.RunMeasured")
class RunMeasured(Message):
    """The element to itself: the next slice of a link. `turn` dies with a newer one."""

    link: str
    turn: int


class _Running:
    """A link's circuit: its machine, since when, and what was delivered of the chunk under way."""

    __slots__ = ("edition", "machine", "request", "serial", "since", "slice", "slices", "states", "tally", "turn")

    def __init__(self, turn: int, serial: int) -> None:
        self.turn = turn
        self.serial = serial
        self.machine: PairMachine | None = None
        self.tally: Tally | None = None
        self.request: MeasurePairs | None = None
        self.since = 0
        self.slice = 0
        self.slices = 1
        self.states: list[NDArray[np.float64]] = []
        self.edition = -1


class MeasuredPairs(Element):
    """Counts what ends of circuits read. Answers the resource plane only; the kernel enforces it."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE
    realises = ("F2", "F3", "F4")
    only_resource_plane = True

    def __init__(
        self,
        world: World,
        links: Iterable[PairLink],
        plans: Iterable[MeasuredPlan],
        readers: Mapping[str, Reader],
        seed: int,
        board: AttemptBoard | None = None,
    ) -> None:
        """`board`: shared with other parts of the engine that run circuits."""
        super().__init__(MEASURED, "engine")
        self._world = world
        self._links = {link.link: link for link in links}
        self._plans = {plan.link: plan for plan in plans}
        self._readers = readers
        self._board = board or AttemptBoard()
        self._seed = seed
        self._running = {plan: _Running(0, 0) for plan in self._plans}

    def _of(self, link: str) -> _Running:
        if link not in self._running:
            raise Problem("no-such-element", f"the engine measures no pairs for {link!r}", link=link)
        return self._running[link]

    @handles(MeasurePairs)
    async def on_measure(self, ctx: Context, msg: MeasurePairs) -> None:
        before = self._of(msg.link)
        running = self._running[msg.link] = _Running(before.turn + 1, before.serial)
        program = self._with_readouts(msg)
        stream = f"{msg.link} {running.turn}"
        running.machine = PairMachine(
            [program],
            lambda purpose, number: seeds.generator(self._seed, MEASURED, f"{stream} {purpose} {number}"),
            compiled=False,
        )
        nodes = nodes_along(msg.left, (self._links[name] for name in msg.links))
        running.tally = Tally(running.machine, program, nodes)
        running.request = msg
        running.since = ctx.now
        running.slices = _slices(program, self._plans[msg.link].chunk_ns)
        if any(node.swap is not None and node.swap.on_demand for node in program.nodes):
            running.machine.demand(0, WITHOUT_END)
        self._let_light_through(running, running.machine, msg)
        self._wait(ctx, running, msg.link)

    @handles(CloseLink)
    async def on_close(self, ctx: Context, msg: CloseLink) -> None:
        running = self._of(msg.link)
        self._running[msg.link] = _Running(running.turn + 1, running.serial)

    @handles(RunMeasured)
    async def on_run(self, ctx: Context, msg: RunMeasured) -> None:
        running = self._running[msg.link]
        machine, request = running.machine, running.request
        if running.turn != msg.turn or machine is None or request is None:
            return
        for node, attempts in self._board.news(MEASURED):
            self._pay(node, attempts, None)
        found = machine.run(ctx.now - running.since)
        for node, attempts in running.tally.made() if running.tally is not None else ():
            self._board.tell(MEASURED, node, attempts)
            self._pay(node, attempts, running)
        if len(found):
            running.states.append(found.state)
        self._let_light_through(running, machine, request)
        running.slice += 1
        if running.slice == running.slices:
            running.slice = 0
            self._tell(ctx, running, request)
        self._wait(ctx, running, msg.link)

    def _pay(self, node: str, attempts: int, making: _Running | None) -> None:
        """Attempts of others cost what a node stores."""
        for other in self._running.values():
            if other is not making and other.tally is not None:
                other.tally.hear_of(node, attempts)

    def _wait(self, ctx: Context, running: _Running, link: str) -> None:
        chunk_ns = self._plans[link].chunk_ns
        edges = (n * chunk_ns // running.slices for n in (running.slice, running.slice + 1))
        begin, end = edges
        ctx.tell(MEASURED, RunMeasured(link, running.turn), after=end - begin)

    def _tell(self, ctx: Context, running: _Running, request: MeasurePairs) -> None:
        plan = self._plans[request.link]
        running.serial += 1
        states = np.concatenate(running.states) if running.states else np.empty((0, 3))
        running.states = []
        right_bits = (2 * self._reader(request.left).right - 1) * (2 * self._reader(request.right).right - 1)
        counts = measured(plan.settings, states, right_bits, ctx.rng(f"results {plan.link}"))
        share = self._world.links[plan.link].tampered
        tampered = share > 0 and bool(ctx.rng(f"tampering {plan.link}").random() < share)
        known = known_share(self._world, request.links)
        if known:  # the first counts are those of the key's settings
            learned = int(ctx.rng(f"overheard {plan.link}").binomial(counts[0], known))
            ctx.emit("eve.learned", link=plan.link, chunk=running.serial, bits=learned)
        ctx.tell(plan.receiver, Chunk(plan.link, running.serial, ctx.now, plan.chunk_ns, counts, tampered))

    def _reader(self, node: str) -> Reader:
        return self._readers.get(node, Reader())

    def _with_readouts(self, msg: MeasurePairs) -> Circuit:
        """The program on links whose end memories are busy with a readout before the next attempt."""
        hops = list(msg.program.hops)
        for place, node in ((0, msg.left), (-1, msg.right)):
            hop: Hop = hops[place]
            hops[place] = replace(hop, restart_ns=hop.restart_ns + self._reader(node).takes_ns)
        return replace(msg.program, hops=tuple(hops))

    def _let_light_through(self, running: _Running, machine: PairMachine, msg: MeasurePairs) -> None:
        if running.edition == self._world.edition:
            return
        running.edition = self._world.edition
        nodes = nodes_along(msg.left, (self._links[name] for name in msg.links))
        for number, (name, hop, into) in enumerate(zip(msg.links, msg.program.hops, nodes[1:], strict=True)):
            swapped_at = into if number + 1 < len(msg.links) else ""
            machine.set_success(number, success_now(self._world, self._links[name], hop))
            machine.set_state(number, state_now(self._world, self._links[name], hop, swapped_at))


def _slices(program: Circuit, chunk_ns: int) -> int:
    """In how many slices a chunk is run. Attempts that disturb what nodes store have to be told every window."""
    if any(node.attempt_loss for node in program.nodes):
        return max(1, ceil(chunk_ns / WINDOW_NS))
    heralds = sum(chunk_ns / hop.cycle_ns * hop.success for hop in program.hops) * program.width
    return max(1, min(ceil(heralds / HERALDS_A_SLICE), chunk_ns // SHORTEST_SLICE_NS))
