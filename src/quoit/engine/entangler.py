"""The engine's entangled states: circuits that make pairs, memories that hold them, operations on what is held.

Circuits run in the pair machine, a window ahead of the present; pairs come to their holders at their due time. What
control says takes effect when the window under way ends: a device's reaction time, which is at most `WINDOW_NS`. A
delivered pair enters the ledger at the instant at which both ends have heard of all swaps, and ages there until it is
used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, prod

from quoit.engine.api import (
    PAIRS,
    InstallCircuit,
    MorePairs,
    Operate,
    Operated,
    OperatedInTurn,
    OperateInTurn,
    PairHeld,
    StopCircuit,
)
from quoit.engine.kernels.machine import PairMachine
from quoit.engine.kernels.tables import FAR_FUTURE
from quoit.engine.ledger import Ledger, LedgerError, Node, Outcome
from quoit.engine.physics.bell_pairs import depolarised
from quoit.engine.program import Decay, pair_of
from quoit.engine.states.refusal import Unsupported
from quoit.engine.world import World
from quoit.model.problem import Problem
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WINDOW_NS = 1_000_000
DARK_NS = 10 * WINDOW_NS


@message("engine.RunCircuit")
class RunCircuit(Message):
    """The entangler to itself: the next window of a circuit. `turn` dies with a newer one."""

    circuit: str
    turn: int


@message("engine.HoldPair")
class HoldPair(Message):
    """The entangler to itself: a delivered pair is in memory from now on."""

    circuit: str
    number: int
    left_slot: int
    right_slot: int
    bell: tuple[float, float, float, float]


@dataclass(frozen=True)
class PairLink:
    """What loss does to a link's attempts: success falls by `photons` / 2 times the loss, in dB, that has come on
    top of `base_db`. Two photons of a coincidence cross the whole path together, one of two only half of it."""

    link: str
    base_db: float
    photons: int


class _Running:
    """A circuit: its machine, since when, and the slots that wait for its pairs."""

    __slots__ = ("edition", "machine", "plan", "since", "slots", "told", "turn")

    def __init__(self, plan: InstallCircuit, machine: PairMachine, since: int) -> None:
        self.plan = plan
        self.machine = machine
        self.since = since
        self.slots = deque(zip(plan.left_slots, plan.right_slots, strict=True))
        self.told = 0
        self.turn = 0
        self.edition = -1  # of the world, as its links' light was last looked at


class Entangler(Element):
    """Keeps all entangled states of the network. Answers the resource plane only; the kernel enforces it."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE
    realises = ("F2", "F3", "F5", "F6")
    only_resource_plane = True

    def __init__(self, world: World, links: tuple[PairLink, ...], nodes: Mapping[str, Node], seed: int) -> None:
        super().__init__(PAIRS, "engine")
        self._world = world
        self._links = {link.link: link for link in links}
        self._seed = seed
        self._ledger = Ledger(seeds.generator(seed, PAIRS, "outcomes"), nodes)
        self._circuits: dict[str, _Running] = {}
        self._installed = 0

    @property
    def ledger(self) -> Ledger:
        """The true states, for tests and for whoever looks behind the curtain."""
        return self._ledger

    # -- circuits ------------------------------------------------------------------------------------

    @handles(InstallCircuit)
    async def on_install(self, ctx: Context, msg: InstallCircuit) -> None:
        self._installed += 1
        stream = f"circuit {self._installed}"  # its name is random, and must not decide what happens
        machine = PairMachine(
            [msg.program],
            lambda purpose, number: seeds.generator(self._seed, PAIRS, f"{stream} {purpose} {number}"),
            compiled=False,
        )
        running = self._circuits[msg.circuit] = _Running(msg, machine, ctx.now)
        self._go_on(ctx, running)

    @handles(MorePairs)
    async def on_more(self, ctx: Context, msg: MorePairs) -> None:
        running = self._running(msg.circuit)
        if ctx.now - running.since > running.machine.now_ns:
            self._deliver(ctx, running, ctx.now - running.since)
        running.slots.append((msg.left_slot, msg.right_slot))
        running.machine.demand(0, 1)
        self._go_on(ctx, running)

    @handles(StopCircuit)
    async def on_stop(self, ctx: Context, msg: StopCircuit) -> None:
        self._circuits.pop(msg.circuit, None)

    @handles(RunCircuit)
    async def on_run(self, ctx: Context, msg: RunCircuit) -> None:
        running = self._circuits.get(msg.circuit)
        if running is None or running.turn != msg.turn:
            return
        self._let_light_through(running)
        edge = ctx.now + WINDOW_NS - running.since
        if edge > running.machine.now_ns:
            self._deliver(ctx, running, edge)
        if running.machine.next_ns < FAR_FUTURE:
            ctx.tell(PAIRS, msg, after=max(WINDOW_NS, running.machine.next_ns + running.since - 1 - ctx.now))
        elif running.slots:  # all is dark: look again
            ctx.tell(PAIRS, msg, after=DARK_NS)

    def _go_on(self, ctx: Context, running: _Running) -> None:
        running.turn += 1
        ctx.tell(PAIRS, RunCircuit(running.plan.circuit, running.turn))

    def _let_light_through(self, running: _Running) -> None:
        if running.edition == self._world.edition:
            return
        running.edition = self._world.edition
        for number, name in enumerate(running.plan.links):
            link, loss_db = self._links[name], self._world.loss_db(name)
            share = 0.0 if loss_db is None else 10 ** (-(loss_db - link.base_db) * link.photons / 20)
            running.machine.set_success(number, min(1.0, running.plan.program.hops[number].success * share))

    def _deliver(self, ctx: Context, running: _Running, edge: int) -> None:
        plan = running.plan
        ends = plan.program.nodes[0].decay, plan.program.nodes[-1].decay
        found = running.machine.run(edge)
        for left_ns, right_ns, state in zip(found.left_ns, found.right_ns, found.state, strict=True):
            running.told += 1
            left_slot, right_slot = running.slots.popleft()
            both_ns = max(int(left_ns), int(right_ns))
            # The half that was handed over first goes on ageing until the other end has heard.
            early = ends[0] if left_ns < right_ns else ends[1]
            pair = _bell(tuple(state), early, both_ns - min(int(left_ns), int(right_ns)))
            white = self._white(plan.links)
            bell = depolarised(pair, white) if white else pair
            held = HoldPair(plan.circuit, running.told, left_slot, right_slot, bell)
            ctx.tell(PAIRS, held, after=max(0, both_ns + running.since - ctx.now))

    def _white(self, links: tuple[str, ...]) -> float:
        """Probability that one of the path's pairs was spoiled, which leaves the whole pair white. What rounds of
        purification would make of such pairs is not followed: they are taken to help nothing."""
        return 1 - prod(1 - self._world.links[link].spoiled for link in links)

    @handles(HoldPair)
    async def on_hold(self, ctx: Context, msg: HoldPair) -> None:
        running = self._circuits.get(msg.circuit)
        if running is None:
            return
        plan = running.plan
        slots = (plan.left, msg.left_slot), (plan.right, msg.right_slot)
        try:
            self._ledger.herald(slots, msg.bell, ctx.now)
        except LedgerError as fault:
            raise Problem("internal", f"circuit {plan.circuit}: {fault}") from fault
        ctx.tell(plan.left_agent, PairHeld(plan.circuit, msg.number, msg.left_slot, ctx.now))
        ctx.tell(plan.right_agent, PairHeld(plan.circuit, msg.number, msg.right_slot, ctx.now))

    def _running(self, circuit: str) -> _Running:
        if circuit not in self._circuits:
            raise Problem("no-such-element", f"the engine runs no circuit {circuit!r}", circuit=circuit)
        return self._circuits[circuit]

    # -- operations ----------------------------------------------------------------------------------

    @handles(Operate)
    async def on_operate(self, ctx: Context, msg: Operate) -> Operated:
        try:
            done = self._operate(msg, ctx.now)
        except (LedgerError, Unsupported, ValueError) as fault:
            raise Problem("bad-operation", str(fault)) from fault
        ready_ns = round(max((at for _, at in done.known), default=done.done_ns))
        await ctx.sleep_until(ready_ns)
        return Operated(done.bits, done.ok, ready_ns)

    @handles(OperateInTurn)
    async def on_operate_in_turn(self, ctx: Context, msg: OperateInTurn) -> OperatedInTurn:
        """Each as soon as the one before is done."""
        began, bits = ctx.now, []
        for step in msg.steps:
            try:
                done = self._operate(step, ctx.now)
            except (LedgerError, Unsupported, ValueError) as fault:
                raise Problem("bad-operation", str(fault)) from fault
            bits.append(done.bits)
            await ctx.sleep_until(round(max((at for _, at in done.known), default=done.done_ns)))
        return OperatedInTurn(tuple(bits), began, ctx.now)

    def _operate(self, msg: Operate, now: int) -> Outcome:
        slots = [(msg.node, slot) for slot in msg.slots]
        ledger = self._ledger
        match msg.name:
            case "init":
                return ledger.init(slots[0], now)
            case "measure":
                return ledger.measure(slots[0], now, msg.basis)
            case "bell-measure":
                return ledger.bell_measure(slots[0], slots[1], now)
            case "fuse":
                return ledger.fuse(slots[0], slots[1], now)
            case "correct":
                return ledger.correct(slots[0], msg.pauli, now)
            case "move":
                return ledger.move(slots[0], slots[1], now)
            case "discard":
                return ledger.discard(slots[0], now)
            case _:
                return ledger.gate(msg.name.upper(), slots, now, angle_rad=msg.angle_rad)


def _bell(state: tuple[float, ...], decay: Decay, gap_ns: int) -> tuple[float, float, float, float]:
    """Probabilities of Phi+, Phi-, Psi+ and Psi- from eigenvalues, after one half has waited so much longer."""
    gap_s = gap_ns * 1e-9
    x, y, z = (e * exp(-rate * gap_s) for e, rate in zip(state, (decay.x_hz, decay.y_hz, decay.z_hz), strict=True))
    pair = pair_of((x, y, z))
    total = sum(pair)  # rounding
    return pair[0] / total, pair[1] / total, pair[2] / total, pair[3] / total
