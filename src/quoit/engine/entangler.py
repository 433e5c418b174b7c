"""The engine's entangled states: circuits that make pairs, memories that hold them, operations on what is held.

Circuits run in the pair machine, a window ahead of the present; pairs come to their holders at their due time. What
control says takes effect when the window under way ends: a device's reaction time, which is at most `WINDOW_NS`, and
light's time along the path more for circuits that hand halves over early. A delivered pair enters the ledger at the
instant at which both ends have heard of all swaps (early: the first of them), and ages there until it is used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import exp

from quoit.engine.api import (
    PAIRS,
    Calibrate,
    Calibrated,
    CircuitCounted,
    InstallCircuit,
    MorePairs,
    Operate,
    Operated,
    OperatedInTurn,
    OperateInTurn,
    PairHeld,
    StopCircuit,
)
from quoit.engine.attempts import AttemptBoard, Tally
from quoit.engine.channels import PairLink, nodes_along, state_now, success_now
from quoit.engine.kernels.machine import PairMachine
from quoit.engine.kernels.tables import FAR_FUTURE
from quoit.engine.ledger import Ledger, LedgerError, Node, Outcome
from quoit.engine.program import WINDOW_NS, Decay, pair_of
from quoit.engine.states.refusal import Unsupported
from quoit.engine.world import World
from quoit.model.problem import Problem
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

DARK_NS = 10 * WINDOW_NS
COUNT_NS = 100_000_000
"""Between news of what a circuit counts, at least."""
NOTHING = (0, 0, 0, 0, 0)


@message("engine.RunCircuit")
class RunCircuit(Message):
    """The entangler to itself: the next window of a circuit. `turn` dies with a newer one."""

    circuit: str
    turn: int


@message("engine.HoldPair")
class HoldPair(Message):
    """The entangler to itself: a delivered pair is in memory from now on. Its own times as in `PairHeld`. `tries`:
    attempts of either end's node whose cost is in `bell`, those up to the instant at which that end has heard."""

    circuit: str
    number: int
    left_slot: int
    right_slot: int
    bell: tuple[float, float, float, float]
    attempt_ns: int
    left_ns: int
    right_ns: int
    tries: tuple[int, int] = (0, 0)


class _Running:
    """A circuit: its machine, since when, and the slots that wait for its pairs."""

    __slots__ = ("counted", "counted_ns", "edition", "machine", "plan", "since", "slots", "tally", "told", "turn")

    def __init__(self, plan: InstallCircuit, nodes: tuple[str, ...], machine: PairMachine, since: int) -> None:
        self.tally = Tally(machine, plan.program, nodes)
        self.plan = plan
        self.machine = machine
        self.since = since
        self.slots = deque(zip(plan.left_slots, plan.right_slots, strict=True))
        self.told = 0
        self.turn = 0
        self.edition = -1  # of the world, as its links' light was last looked at
        self.counted, self.counted_ns = NOTHING, since

    def news(self) -> tuple[int, ...]:
        """What has been counted since the last time."""
        c = self.machine.counts(0)
        now = (
            c.heralds, c.swaps - c.swap_failures, c.purifications - c.purify_failures,
            c.swap_failures + c.purify_failures, c.expired,
        )  # fmt: skip
        found = tuple(new - old for new, old in zip(now, self.counted, strict=True))
        self.counted = now
        return found

    @property
    def early_ns(self) -> int:
        """How much sooner than its second end a pair's first one may have to hear of it. The machine tells when the
        second one has heard."""
        return sum(hop.light_ns for hop in self.plan.program.hops) if self.plan.early else 0


class Entangler(Element):
    """Keeps all entangled states of the network. Answers the resource plane only; the kernel enforces it."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE
    realises = ("F2", "F3", "F5", "F6")
    only_resource_plane = True

    def __init__(
        self,
        world: World,
        links: tuple[PairLink, ...],
        nodes: Mapping[str, Node],
        seed: int,
        board: AttemptBoard | None = None,
    ) -> None:
        """`board`: shared with other parts of the engine that run circuits."""
        super().__init__(PAIRS, "engine")
        self._world = world
        self._board = board or AttemptBoard()
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
        kept = self._circuits.pop(msg.adopts, None)
        if kept is None:
            self._new(ctx, msg)
        else:
            self._catch_up(ctx, kept)
            kept.plan, kept.told = msg, 0
            kept.slots = deque(zip(msg.left_slots, msg.right_slots, strict=True))
            self._circuits[msg.circuit] = kept
        running = self._circuits[msg.circuit]
        if running.plan.program.wanted is None and running.slots:  # it keeps links ready, and joins them when asked
            running.machine.demand(0, len(running.slots))
        self._go_on(ctx, running)

    def _new(self, ctx: Context, msg: InstallCircuit) -> None:
        self._installed += 1
        stream = f"circuit {self._installed}"  # its name is random, and must not decide what happens
        machine = PairMachine(
            [msg.program],
            lambda purpose, number: seeds.generator(self._seed, PAIRS, f"{stream} {purpose} {number}"),
            compiled=False,
        )
        nodes = nodes_along(msg.left, (self._links[name] for name in msg.links))
        self._circuits[msg.circuit] = _Running(msg, nodes, machine, ctx.now)

    def _catch_up(self, ctx: Context, running: _Running) -> None:
        """Bring a circuit that has slept to the present."""
        if ctx.now - running.since > running.machine.now_ns:
            self._deliver(ctx, running, ctx.now - running.since)

    @handles(MorePairs)
    async def on_more(self, ctx: Context, msg: MorePairs) -> None:
        running = self._running(msg.circuit)
        self._catch_up(ctx, running)
        running.slots.append((msg.left_slot, msg.right_slot))
        running.machine.demand(0, 1)
        self._go_on(ctx, running)

    @handles(StopCircuit)
    async def on_stop(self, ctx: Context, msg: StopCircuit) -> None:
        running = self._circuits.pop(msg.circuit, None)
        if running is not None:
            running.counted_ns -= COUNT_NS  # nothing more will come
            self._tell_counts(ctx, running, max(ctx.now, running.machine.now_ns + running.since))
        if running is None or not msg.leaves:
            return
        plan = running.plan
        kept = InstallCircuit(
            msg.leaves, plan.links, plan.left, plan.right, plan.left_agent, plan.right_agent, plan.program, (), ()
        )
        if running.slots:  # it still owes pairs, which nobody waits for any more: begin anew
            self._new(ctx, kept)
        else:
            running.plan = kept
            self._circuits[msg.leaves] = running
        self._go_on(ctx, self._circuits[msg.leaves])

    @handles(RunCircuit)
    async def on_run(self, ctx: Context, msg: RunCircuit) -> None:
        running = self._circuits.get(msg.circuit)
        if running is None or running.turn != msg.turn:
            return
        self._let_light_through(running)
        early_ns = running.early_ns
        step_ns = max(WINDOW_NS - early_ns, WINDOW_NS // 2)
        edge = ctx.now + step_ns + early_ns - running.since
        if edge > running.machine.now_ns:
            self._deliver(ctx, running, edge)
        if running.machine.next_ns < FAR_FUTURE:
            news_ns = running.machine.next_ns + running.since - 1 - early_ns
            ctx.tell(PAIRS, msg, after=max(step_ns, news_ns - ctx.now))
        elif running.slots or running.plan.program.wanted is None:  # all is dark: look again
            ctx.tell(PAIRS, msg, after=DARK_NS)

    def _go_on(self, ctx: Context, running: _Running) -> None:
        running.turn += 1
        ctx.tell(PAIRS, RunCircuit(running.plan.circuit, running.turn))

    def _let_light_through(self, running: _Running) -> None:
        if running.edition == self._world.edition:
            return
        running.edition = self._world.edition
        links = running.plan.links
        nodes = nodes_along(running.plan.left, (self._links[name] for name in links))
        for number, (name, hop, into) in enumerate(zip(links, running.plan.program.hops, nodes[1:], strict=True)):
            swapped_at = into if number + 1 < len(links) else ""
            running.machine.set_success(number, success_now(self._world, self._links[name], hop))
            running.machine.set_state(number, state_now(self._world, self._links[name], hop, swapped_at))

    def _deliver(self, ctx: Context, running: _Running, edge: int) -> None:
        plan = running.plan
        ends = plan.program.nodes[0].decay, plan.program.nodes[-1].decay
        self._hear()
        found = running.machine.run(edge)
        self._charge(running)
        columns = found.left_ns, found.right_ns, found.born_ns, found.state, found.tries
        for left_ns, right_ns, born_ns, state, tries in zip(*columns, strict=True):
            running.told += 1
            left_slot, right_slot = running.slots.popleft()
            left, right = int(left_ns), int(right_ns)
            due_ns = (min(left, right) if plan.early else max(left, right)) + running.since
            held_ns = max(due_ns, ctx.now) - running.since
            bell = _bell(tuple(state), ((ends[0], held_ns - left), (ends[1], held_ns - right)))
            held = HoldPair(
                plan.circuit, running.told, left_slot, right_slot, bell,
                int(born_ns) + running.since, left + running.since, right + running.since,
                (int(tries[0]), int(tries[1])),
            )  # fmt: skip
            ctx.tell(PAIRS, held, after=held_ns + running.since - ctx.now)
        self._tell_counts(ctx, running, edge + running.since)

    def _tell_counts(self, ctx: Context, running: _Running, at_ns: int) -> None:
        """The machine is ahead of the present: what it has counted is told when the present is there."""
        if at_ns - running.counted_ns < COUNT_NS:
            return
        running.counted_ns = at_ns
        found = running.news()
        if any(found):
            news = CircuitCounted(running.plan.circuit, at_ns, *found)
            ctx.tell(running.plan.left_agent, news, after=max(0, at_ns - ctx.now))

    @handles(Calibrate)
    async def on_calibrate(self, ctx: Context, msg: Calibrate) -> Calibrated:
        link = self._world.links[msg.link]
        if link.calibrating:
            raise Problem("switching", f"{msg.link} is being calibrated", link=msg.link)
        link.calibrating = True
        self._world.edition += 1  # all who make pairs look at their light again
        await ctx.sleep(msg.takes_ns)
        link.calibrating, link.drift = False, 0.0
        self._world.edition += 1
        return Calibrated(msg.link, ctx.now)

    def _charge(self, running: _Running) -> None:
        """Attempts of the window cost whatever else their nodes store, in the ledger and in other circuits' memories:
        all at once and so up to a window too soon or too late, which control allows for."""
        for node, attempts in running.tally.made():
            self._board.tell(PAIRS, node, attempts)
            self._pay(node, attempts, running)

    def _hear(self) -> None:
        """The same for what other parts of the engine have had made."""
        for node, attempts in self._board.news(PAIRS):
            self._pay(node, attempts, None)

    def _pay(self, node: str, attempts: int, making: _Running | None) -> None:
        self._ledger.disturb(node, attempts)
        for other in self._circuits.values():
            if other is not making:
                other.tally.hear_of(node, attempts)

    @handles(HoldPair)
    async def on_hold(self, ctx: Context, msg: HoldPair) -> None:
        running = self._circuits.get(msg.circuit)
        if running is None:
            return
        plan = running.plan
        slots = (plan.left, msg.left_slot), (plan.right, msg.right_slot)
        self._hear()
        try:
            self._ledger.herald(slots, msg.bell, ctx.now)
            for (node, slot), position, paid in zip(slots, (0, len(plan.links)), msg.tries, strict=True):
                if position in running.tally:  # the window under way has been charged before the pair came
                    made = running.machine.tries(position) - paid
                    self._ledger.disturb(node, made, (node, slot))
        except LedgerError as fault:
            raise Problem("internal", f"circuit {plan.circuit}: {fault}") from fault
        both_ns = max(msg.left_ns, msg.right_ns)
        for agent, slot, heard_ns in (
            (plan.left_agent, msg.left_slot, msg.left_ns),
            (plan.right_agent, msg.right_slot, msg.right_ns),
        ):
            held = PairHeld(plan.circuit, msg.number, slot, ctx.now, msg.attempt_ns, heard_ns, both_ns)
            ctx.tell(agent, held, after=max(0, heard_ns - ctx.now) if plan.early else 0)

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
        self._hear()
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


def _bell(state: tuple[float, ...], waits: tuple[tuple[Decay, int], ...]) -> tuple[float, float, float, float]:
    """Probabilities of Phi+, Phi-, Psi+ and Psi- from eigenvalues as each half was handed over, after each has waited
    so much longer since (ns; below 0: at so much earlier an instant)."""
    x, y, z = state
    for decay, wait_ns in waits:
        wait_s = wait_ns * 1e-9
        x, y, z = x * exp(-decay.x_hz * wait_s), y * exp(-decay.y_hz * wait_s), z * exp(-decay.z_hz * wait_s)
    pair = pair_of((x, y, z))
    total = sum(pair)  # rounding
    return pair[0] / total, pair[1] / total, pair[2] / total, pair[3] / total
