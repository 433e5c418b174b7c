"""The key management agent of a node: pools of link key, between the modules and all who use it (C2).

Link keys never leave the fabric: only the relay of the same node reads them here.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.fabric import api
from quoit.fabric.api import GetPool, Piece, PoolLevel, PoolReading
from quoit.fabric.pool import LinkPool
from quoit.model.bans import Bans
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

READING_NS = 1_000_000_000
"""How often the meters are told the level of a pool that changes."""
WITHIN = 2_000_000_000
"""How long an end waits for the allocating end, ns."""


@message("fabric.Deposit")
class Deposit(Message):
    """A module's fresh block."""

    link: str
    block: int
    value: Secret


@message("fabric.Allocate")
class Allocate(Message):
    """Name the next `bits` of a link's key for `use`, plus `tag_bits` for the message that carries them. Without
    a reserved `flow`, what is guarded for those that have one is left alone."""

    link: str
    bits: int
    use: str
    tag_bits: int
    reason: str
    flow: str = ""


@message("fabric.Allocated")
class Allocated(Message):
    pieces: tuple[Piece, ...]
    tag: tuple[Piece, ...]


@message("fabric.GuardPool")
class GuardPool(Message):
    """Control: keep `bits` of a link's pool for reserved flows (0: none)."""

    link: str
    bits: int


@message("fabric.ReadLevel")
class ReadLevel(Message):
    """An agent to itself: tell the meters the level of this pool."""

    link: str


@message("fabric.ReadKey")
class ReadKey(Message):
    """Read pieces of one link; the agent forgets them."""

    pieces: tuple[Piece, ...]


@message("fabric.ReadValue")
class ReadValue(Message):
    value: Secret


@message("fabric.DiscardFrom")
class DiscardFrom(Message):
    """Drop what is left of the blocks from `first_block` to `last_block`, and take none of them in any more
    should they still be on their way. `held`: the link's own receiver says so, not management."""

    link: str
    first_block: int
    last_block: int
    why: str
    held: bool = False


@message("fabric.Readmit")
class Readmit(Message):
    """Blocks from `from_block` on are taken in again, as far as the one that says so is concerned: neither the link's
    receiver (`held`) nor management ends what the other one ordered."""

    link: str
    from_block: int
    held: bool = False


@dataclass(frozen=True)
class PoolPlan:
    """A pool that an agent keeps: the link, the node that allocates, the node at the other end.

    A pool closes when it cannot serve; it opens again with `reopen_bits` above its floor, so that a
    trickle of key does not make routes flap.
    """

    link: str
    allocator: str
    other: str
    capacity_bits: int
    floor_bits: int
    reopen_bits: int = 0


class Kma(Element):
    """Pools of all links of one node."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("C2", "C8")

    def __init__(
        self, node: str, plans: tuple[PoolPlan, ...], initial: dict[str, Secret], first_block: int = 0
    ) -> None:
        super().__init__(api.kma(node), node)
        self._node = node
        self._plans = {plan.link: plan for plan in plans}
        self._pools = {
            plan.link: LinkPool(plan.link, capacity_bits=plan.capacity_bits, floor_bits=plan.floor_bits)
            for plan in plans
        }
        self._initial = initial
        self._first_block = first_block
        self._open = {plan.link: False for plan in plans}
        self._drained: set[str] = set()
        self._bans = {False: Bans(), True: Bans()}  # of management, and of the links' receivers
        self._fresh: dict[str, int] = {}
        self._guarded: dict[str, int] = {}
        self._to_read: set[str] = set()

    async def start(self, ctx: Context) -> None:
        for link, value in self._initial.items():
            self._take_in(ctx, link, self._first_block, value)
        self._initial = {}

    def _allocates(self, link: str) -> bool:
        return self._plans[link].allocator == self._node

    def _take_in(self, ctx: Context, link: str, block: int, value: Secret) -> None:
        pool = self._pools[link]
        bits = 8 * len(value)
        lost = pool.add(block, value)
        if self._allocates(link):
            ctx.emit("pool.filled", link=link, block=block, bits=bits)
            if lost:
                piece = {"link": link, "block": block, "offset": bits - lost, "bits": lost}
                ctx.emit("pool.spent", use="overflow", why="pool full", **piece)
            ctx.emit("pool.level", link=link, bits=pool.unallocated_bits)
        self._show(ctx, link)

    def _show(self, ctx: Context, link: str) -> None:
        if not self._allocates(link):
            return
        pool = self._pools[link]
        if link not in self._to_read:
            self._to_read.add(link)
            ctx.tell(self.name, ReadLevel(link), after=READING_NS)
        needed = self._plans[link].reopen_bits if link in self._drained else 0
        is_open = pool.usable_bits > (0 if self._open[link] else needed)
        if is_open != self._open[link]:
            self._open[link] = is_open
            self._drained.add(link)
            ctx.emit("pool.open" if is_open else "pool.closed", link=link, bits=pool.unallocated_bits)
            news = PoolLevel(link, pool.unallocated_bits, is_open)
            ctx.publish(f"{api.LINK_NEWS}.{link}.pool", news)

    @handles(ReadLevel)
    async def on_read_level(self, ctx: Context, msg: ReadLevel) -> None:
        self._to_read.discard(msg.link)
        ctx.tell(api.METERS, PoolReading(msg.link, self._pools[msg.link].unallocated_bits))

    @handles(Deposit)
    async def on_deposit(self, ctx: Context, msg: Deposit) -> None:
        if any(bans.covers(msg.link, msg.block) for bans in self._bans.values()):
            msg.value.wipe()
            return
        self._take_in(ctx, msg.link, msg.block, msg.value)
        if self._allocates(msg.link):
            level = PoolLevel(msg.link, self._pools[msg.link].unallocated_bits, self._open[msg.link])
            ctx.publish(f"{api.LINK_NEWS}.{msg.link}.pool", level)

    @handles(Allocate)
    async def on_allocate(self, ctx: Context, msg: Allocate) -> Allocated:
        plan = self._plans.get(msg.link)
        if plan is None:
            raise Problem("no-route", f"{self._node} has no link {msg.link}", link=msg.link)
        if plan.allocator != self._node:
            answer: Allocated = await ctx.ask(api.kma(plan.allocator), msg, within=WITHIN)
            return answer
        pool = self._pools[msg.link]
        self._check_level(ctx, msg, pool.usable_bits)
        answer = Allocated(pool.allocate(msg.bits, msg.use), pool.allocate(msg.tag_bits, "tag"))
        for piece in answer.pieces + answer.tag:
            ctx.emit(
                "pool.spent",
                link=piece.link,
                block=piece.block,
                offset=piece.offset,
                bits=piece.bits,
                use=piece.use,
                why=msg.reason,
            )
            ctx.count("quoit_pool_spent_bits_total", (piece.link, piece.use), piece.bits)
        ctx.emit("pool.level", link=msg.link, bits=pool.unallocated_bits)
        self._show(ctx, msg.link)
        return answer

    def _check_level(self, ctx: Context, msg: Allocate, usable: int) -> None:
        """Problem `no-key-material` if the pool is too low, or what is left of it is kept for reserved flows."""
        guarded = 0 if msg.flow else self._guarded.get(msg.link, 0)
        wanted, free = msg.bits + msg.tag_bits, max(0, usable - guarded)
        if wanted <= free:
            return
        if wanted > usable:
            self._close(ctx, msg.link)
        kept = f", {guarded} of them reserved" if guarded else ""
        detail = f"link {msg.link} has {usable} bits above its floor{kept}"
        raise Problem("no-key-material", detail, link=msg.link, available_bits=free)

    @handles(GetPool)
    async def on_get(self, ctx: Context, msg: GetPool) -> PoolLevel:
        plan = self._plans.get(msg.link)
        if plan is None:
            raise Problem("no-route", f"{self._node} has no link {msg.link}", link=msg.link)
        if plan.allocator != self._node:
            answer: PoolLevel = await ctx.ask(api.kma(plan.allocator), msg, within=WITHIN)
            return answer
        return PoolLevel(msg.link, self._pools[msg.link].unallocated_bits, self._open[msg.link])

    @handles(GuardPool)
    async def on_guard(self, ctx: Context, msg: GuardPool) -> None:
        self._guarded[msg.link] = msg.bits
        ctx.emit("pool.guarded", link=msg.link, bits=msg.bits)

    def _close(self, ctx: Context, link: str) -> None:
        """A pool that cannot serve a request counts as closed until the next block."""
        if self._open[link]:
            self._open[link] = False
            bits = self._pools[link].unallocated_bits
            ctx.emit("pool.closed", link=link, bits=bits)
            ctx.publish(f"{api.LINK_NEWS}.{link}.pool", PoolLevel(link, bits, False))

    @handles(ReadKey)
    async def on_read(self, ctx: Context, msg: ReadKey) -> ReadValue:
        link = msg.pieces[0].link
        return ReadValue(self._pools[link].read(msg.pieces, allocator=self._allocates(link)))

    @handles(DiscardFrom)
    async def on_discard(self, ctx: Context, msg: DiscardFrom) -> None:
        twice = any(bans.within(msg.link, msg.first_block, msg.last_block) for bans in self._bans.values())
        self._bans[msg.held].ban(msg.link, msg.first_block, msg.last_block)
        if twice:
            return
        if self._allocates(msg.link):
            ctx.emit("pool.quarantined", link=msg.link, first_block=msg.first_block)
        dropped = self._pools[msg.link].discard(msg.first_block, msg.last_block)
        if self._allocates(msg.link):
            for piece in dropped:
                ctx.emit(
                    "pool.spent",
                    link=piece.link,
                    block=piece.block,
                    offset=piece.offset,
                    bits=piece.bits,
                    use="discarded",
                    why=msg.why,
                )
            ctx.emit("pool.level", link=msg.link, bits=self._pools[msg.link].unallocated_bits)
        self._show(ctx, msg.link)

    @handles(Readmit)
    async def on_readmit(self, ctx: Context, msg: Readmit) -> None:
        self._bans[msg.held].readmit(msg.link, msg.from_block)
        fresh = self._fresh[msg.link] = max(self._fresh.get(msg.link, 0), msg.from_block)
        if self._allocates(msg.link) and not any(bans.covers(msg.link, fresh) for bans in self._bans.values()):
            ctx.emit("pool.released", link=msg.link)
