"""Control of entanglement: chooses paths for pairs, has programs compiled, and keeps THE book of who uses what
(`fabric.pair_book`).

What a circuit promises is its compiler's to say (`fabric.programs`): a bound that holds for every pair it delivers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from quoit.engine.program import Circuit, fidelity_of
from quoit.fabric.anchors import AnchorFront
from quoit.fabric.api import (
    METERS,
    PAIR_CONTROLLER,
    TRANSIT,
    CalibrateLink,
    CloseCircuit,
    Done,
    FreeSlots,
    JudgeLinks,
    OpenCircuit,
    OpenKeyCircuit,
    PairPlan,
    PlanPairs,
    RenewHalf,
    ReserveSlots,
    Slots,
    memory,
    module,
)
from quoit.fabric.claims import HIGHEST
from quoit.fabric.memory import AdjustLink, EndProgram, ExpectPairs, MemoriesLeft, RenewPair, RunProgram, transit_holder
from quoit.fabric.pair_book import Choice, Held, PairBook
from quoit.fabric.pair_links import PairLinkEntry, PairLinks, walk
from quoit.fabric.pair_module import RunKeyCircuit
from quoit.fabric.pair_paths import Made, PairPaths, unreachable
from quoit.fabric.programs.demand import Compiler, Refused, Station
from quoit.model.problem import Problem
from quoit.planes.telemetry import StartMeter, StopMeter
from quoit.runtime.context import Context
from quoit.runtime.element import Plane, Stratum, handles

CALIBRATE_WITHIN = 10_000_000_000
RESERVE_NS = 5_000_000_000


@dataclass(frozen=True)
class KeptReady:
    """What a compiler that keeps virtual links ready (`keeps_ready`) is to keep ready from the start: pairs of nodes,
    and the floor that their circuits keep. `apart`: how many circuits of each link are for keys, and `apart_memories`
    memories of each node. `domains`: those whose tables of anchors control asks (`fabric.anchors`)."""

    ends: tuple[tuple[str, str], ...] = ()
    floor: float = 0.8
    apart: Mapping[str, int] = field(default_factory=dict)
    apart_memories: Mapping[str, int] = field(default_factory=dict)
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Open:
    """`head`: where the circuit's program begins, which may be the demand's tail if `turned`. `held`: what is booked
    for it; `standing`: what it was made of and goes on as."""

    head: str
    tail: str
    held: Held
    standing: _Standing | None = None
    turned: bool = False


@dataclass
class _Standing:
    """A circuit whose virtual links are kept ready ahead of demand."""

    name: str
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    program: Circuit
    free: bool = True


class PairController(AnchorFront):
    """Programs circuits of entangled pairs (D1, D4)."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("D1", "D2", "D3")

    def __init__(
        self,
        place: str,
        links: tuple[PairLinkEntry, ...],
        stations: tuple[Station, ...],
        compiler: Compiler,
        memories: Mapping[str, int],
        ready: KeptReady = KeptReady(),
    ) -> None:
        """`memories`: how many each node has."""
        super().__init__(PAIR_CONTROLLER, place, ready.domains)
        self._ready = ready
        self._standing: dict[frozenset[str], _Standing] = {}
        known = PairLinks(links, stations)
        self._book = PairBook(links, known.stations, memories, ready.apart, ready.apart_memories)
        self._paths = PairPaths(known, self._book, compiler)
        self._links = known.entries
        self._compiler = compiler
        self._open: dict[str, _Open] = {}
        self._keys: dict[str, Held] = {}
        self._nodes = tuple(memories)
        self._returned = False
        """It has died and knows nothing of circuits that it opened before."""

    # -- virtual links, ahead of demand --------------------------------------------------------------

    async def start(self, ctx: Context) -> None:
        """Have virtual links kept ready between all pairs of nodes that are asked for and have no link of their own,
        as long as every link on the way can bear another circuit beside."""
        self._returned = ctx.now > 0
        if not getattr(self._compiler, "keeps_ready", False):
            return
        for head, tail in self._ready.ends:
            try:
                await self._keep_ready(ctx, head, tail)
            except Problem as problem:
                ctx.emit("virtual-links.refused", head=head, tail=tail, why=problem.detail)

    async def _keep_ready(self, ctx: Context, head: str, tail: str) -> None:
        nodes, links = self._book.route(head, tail, Choice(), ctx.now)
        program = self._paths.compiled(nodes, links, self._ready.floor, 1)
        if program.wanted is not None or any(self._book.left(n) < 2 for n in links):
            return
        name = f"standing {head} {tail}"
        self._forget(ctx, name)
        wanted = {head: 1, **dict.fromkeys(nodes[1:-1], TRANSIT), tail: 1}  # what is ready waits at the ends, too
        self._book.ahead(wanted)
        held = Held(transit_holder(name), links)
        self._use(ctx, held, 1)
        try:
            await self._reserve(ctx, held, wanted)
        except Problem:
            self._give_back(ctx, held)
            raise
        self._book.lasting(held)
        found = _Standing(name, nodes, links, program)
        self._standing[frozenset((head, tail))] = found
        ctx.emit("virtual-links.ready", nodes=nodes, links=links)
        ctx.tell(memory(head), RunProgram(found.name, links, tail, program, (), (), ""))

    # -- what is taken -------------------------------------------------------------------------------

    @handles(MemoriesLeft)
    async def on_left(self, ctx: Context, msg: MemoriesLeft) -> None:
        self._book.told(msg.node, msg.free)

    def _use(self, ctx: Context, held: Held, more: int) -> None:
        """Count who uses a link; its meters are on as long as somebody does."""
        for link in held.links:
            before = self._book.used[link]
            self._book.used[link] += more * held.places
            if not before and self._book.used[link]:
                ctx.tell(METERS, StartMeter(link))
            elif before and not self._book.used[link]:
                ctx.tell(METERS, StopMeter(link))

    async def _reserve(
        self, ctx: Context, held: Held, wanted: Mapping[str, int], priority: int = 0, claim: str = ""
    ) -> None:
        """Have memories kept at these nodes; what was kept before a Problem stays in `held`."""
        for node, number in wanted.items():
            order = ReserveSlots(held.holder, number, priority, claim)
            answer: Slots = await ctx.ask(memory(node), order, within=RESERVE_NS)
            held.memories[node] = answer.slots

    def _give_back(self, ctx: Context, held: Held) -> None:
        self._use(ctx, held, -1)
        self._free(ctx, held)

    def _free(self, ctx: Context, held: Held) -> None:
        for node, slots in held.memories.items():
            ctx.tell(memory(node), FreeSlots(held.holder, slots))
            self._book.given_back(node, len(slots))
        held.memories = {}

    def _forget(self, ctx: Context, circuit: str) -> None:
        """Control that has died and come back has all nodes end a circuit that it may have opened in another life."""
        for node in self._nodes if self._returned else ():
            ctx.tell(memory(node), EndProgram(circuit))

    def _adopted(self, msg: OpenCircuit) -> tuple[_Standing, PairPlan] | None:
        """Virtual links that are kept ready between these nodes and keep what is asked for: of a path that has been
        chosen, all that a circuit of its own would keep, since that is what has been promised of it."""
        found = self._standing.get(frozenset((msg.head, msg.tail)))
        if found is None or not found.free or (self._book.suspect.intersection(found.links) and not msg.tested):
            return None
        plan = self._paths.plan(found.nodes, found.links, found.program)
        if fidelity_of(plan.state) < msg.fidelity:
            return None
        if msg.via:
            if not set(found.links) <= set(msg.via):
                return None
            own = self._paths.compiled(found.nodes, found.links, msg.fidelity, len(msg.head_slots))
            kept = self._paths.plan(found.nodes, found.links, own)
            if min(a - b for a, b in zip(plan.state, kept.state, strict=True)) < 0 or plan.decay_hz != kept.decay_hz:
                return None
        return found, plan

    # -- what Service asks ---------------------------------------------------------------------------

    @handles(PlanPairs)
    async def on_plan(self, ctx: Context, msg: PlanPairs) -> PairPlan:
        choice = Choice(msg.via, msg.tested, msg.idle)
        return self._paths.made((msg.head, msg.tail), choice, msg.fidelity, 1, ctx.now, purify=msg.purify).plan

    @handles(OpenCircuit)
    async def on_open(self, ctx: Context, msg: OpenCircuit) -> PairPlan:
        if msg.circuit in self._open:
            raise Problem("unit-exists", f"circuit {msg.circuit} is open")
        adopted = self._adopted(msg)
        if adopted is not None:
            return self._join(ctx, msg, *adopted)
        shut: frozenset[str] = frozenset()
        while True:
            choice = Choice(msg.via, msg.tested, claim=msg.claim, priority=msg.priority, shut=shut)
            try:
                made = self._paths.made((msg.head, msg.tail), choice, msg.fidelity, len(msg.head_slots), ctx.now)
            except Problem as problem:
                await self._wait_at(ctx, msg, problem)
                raise
            nodes, links, program, plan = made.nodes, made.links, made.program, made.plan
            short = await self._booked(ctx, msg, made)
            if short is None:
                break
            if short in (msg.head, msg.tail):
                raise self._book.lack(short, self._book.room(short, idle=False), program.width - 1)
            shut |= {short}  # and look for a way around it
        ctx.emit("circuit.opened", circuit=msg.circuit, nodes=nodes, cutoff_ns=plan.cutoff_ns)
        ctx.tell(memory(msg.tail), ExpectPairs(msg.circuit, msg.tail_holder))
        run = RunProgram(
            msg.circuit, links, msg.tail, program, msg.head_slots, msg.tail_slots, msg.head_holder, early=msg.early
        )
        ctx.tell(memory(msg.head), run)
        return plan

    async def _wait_at(self, ctx: Context, msg: OpenCircuit, problem: Problem) -> None:
        """Whoever lacks memories of a node between, and tries again, waits there in line."""
        if problem.code != "no-memory" or not msg.claim:
            return
        held = Held(transit_holder(msg.circuit), ())
        with suppress(Problem):
            needed = int(problem.fields.get("needed", TRANSIT))
            await self._reserve(ctx, held, {str(problem.fields["node"]): needed}, msg.priority, msg.claim)
        self._free(ctx, held)  # what has come free just now is told, and there for the next try

    async def _booked(self, ctx: Context, msg: OpenCircuit, made: Made) -> str | None:
        """Book links and memories of the nodes between for a circuit, and for purification some at its ends; the node
        that has too few, and then nothing is booked."""
        width = made.program.width
        held = Held(transit_holder(msg.circuit), made.links, width)
        wanted = dict.fromkeys(made.nodes[1:-1], TRANSIT * width)
        if width > 1:  # beside the one that its holder has kept
            wanted |= dict.fromkeys((msg.head, msg.tail), width - 1)
        opened = self._open[msg.circuit] = _Open(msg.head, msg.tail, held)
        self._use(ctx, held, 1)
        try:
            await self._reserve(ctx, held, wanted, msg.priority, msg.claim)
        except Problem as problem:
            if self._open.get(msg.circuit) is opened:
                del self._open[msg.circuit]
                self._give_back(ctx, held)
            if problem.code != "no-memory":
                raise
            node = str(problem.fields["node"])
            self._book.told(node, int(problem.fields["free"]))
            return node
        if self._open.get(msg.circuit) is not opened:  # closed meanwhile
            self._free(ctx, held)
            raise Problem("no-such-element", f"circuit {msg.circuit} was closed before it was open")
        return None

    def _join(self, ctx: Context, msg: OpenCircuit, found: _Standing, plan: PairPlan) -> PairPlan:
        """Only join the virtual links that are there. They may have been made from the demand's tail on."""
        head, tail = (msg.head, msg.head_slots, msg.head_holder), (msg.tail, msg.tail_slots, msg.tail_holder)
        turned = found.nodes[0] != msg.head
        first, last = (tail, head) if turned else (head, tail)
        found.free = False
        self._open[msg.circuit] = _Open(first[0], last[0], Held("", found.links), found, turned)
        nodes = found.nodes[::-1] if turned else found.nodes
        ctx.emit("circuit.opened", circuit=msg.circuit, nodes=nodes, cutoff_ns=plan.cutoff_ns, adopted=found.name)
        ctx.tell(memory(last[0]), ExpectPairs(msg.circuit, last[2]))
        run = RunProgram(
            msg.circuit, found.links, last[0], found.program, first[1], last[1], first[2], found.name, msg.early
        )
        ctx.tell(memory(first[0]), run)
        links = found.links[::-1] if turned else found.links
        return PairPlan(nodes, links, plan.state, plan.decay_hz, plan.cutoff_ns, plan.rate_hz, turned)

    @handles(OpenKeyCircuit)
    async def on_open_key(self, ctx: Context, msg: OpenKeyCircuit) -> PairPlan:
        self._forget(ctx, msg.link)
        before = self._keys.pop(msg.link, None)
        if before is not None:
            self._book.lasting(before, -1)
            self._give_back(ctx, before)
        full = [name for name in msg.over if self._book.used[name] + msg.width > self._links[name].width]
        if full:
            raise Problem(
                "no-route", f"{msg.link} needs {msg.width} memories on a side of {', '.join(full)}", busy=full
            )
        nodes = walk(msg.head, [self._links[name] for name in msg.over])
        try:  # both halves are read when they are handed over, and wait for nobody
            demand = self._paths.demand(nodes, msg.over, msg.fidelity, None, msg.width)
            program = self._compiler.compile(demand).circuit
        except Refused as refused:
            raise unreachable(nodes, refused, refused.could_have) from refused
        plan = self._paths.plan(nodes, msg.over, program)
        held = Held(transit_holder(msg.link), msg.over, msg.width)
        self._use(ctx, held, 1)
        inner = dict.fromkeys(nodes[1:-1], TRANSIT * msg.width)
        try:
            await self._reserve(ctx, held, {nodes[0]: msg.width, **inner, nodes[-1]: msg.width}, HIGHEST)
        except Problem:
            self._give_back(ctx, held)
            raise
        self._keys[msg.link] = held
        self._book.lasting(held)
        ctx.emit("circuit.opened", circuit=msg.link, nodes=nodes, cutoff_ns=plan.cutoff_ns)
        ctx.tell(module(msg.link, msg.head), RunKeyCircuit(msg.link, msg.over, program))
        return plan

    @handles(RenewHalf)
    async def on_renew(self, ctx: Context, msg: RenewHalf) -> Done:
        found = self._open.get(msg.circuit)
        if found is None:
            raise Problem("no-such-element", f"no circuit {msg.circuit!r} is open", circuit=msg.circuit)
        slots = (msg.tail_slot, msg.head_slot) if found.turned else (msg.head_slot, msg.tail_slot)
        ctx.tell(memory(found.head), RenewPair(msg.circuit, *slots))
        return Done()

    @handles(CloseCircuit)
    async def on_close(self, ctx: Context, msg: CloseCircuit) -> Done:
        found = self._open.pop(msg.circuit, None)
        if found is None:
            self._forget(ctx, msg.circuit)
        else:
            leaves = ""
            if found.standing is not None:
                found.standing.free, leaves = True, found.standing.name
            else:
                self._give_back(ctx, found.held)
            for node in (found.head, found.tail):
                ctx.tell(memory(node), EndProgram(msg.circuit, leaves))
            ctx.emit("circuit.closed", circuit=msg.circuit)
        return Done()

    @handles(CalibrateLink)
    async def on_calibrate(self, ctx: Context, msg: CalibrateLink) -> Done:
        entry = self._links.get(msg.link)
        if entry is None:
            raise Problem("no-such-element", f"no link for pairs is called {msg.link!r}", link=msg.link)
        within = entry.calibration_ns + CALIBRATE_WITHIN
        order = AdjustLink(msg.link, entry.calibration_ns)
        done: Done = await ctx.ask(memory(entry.a), order, within=within)
        return done

    @handles(JudgeLinks)
    async def on_judge(self, ctx: Context, msg: JudgeLinks) -> None:
        """Trust is lost by a test that failed and comes back by one that was passed; time alone mends nothing."""
        known = set(msg.links) & self._links.keys()
        suspect = self._book.suspect
        changed = known & suspect if msg.sound else known - suspect
        for link in sorted(changed):
            ctx.emit("pairs.trusted" if msg.sound else "pairs.suspected", link=link)
        self._book.suspect = suspect - known if msg.sound else suspect | known
