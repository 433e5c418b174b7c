"""Pairs on request for applications: whose request it is, whose purpose, and whose qubits come of it (D1, D2).

Link service and network service know nodes and purposes; which application stands behind them is agreed here, between
the two applications' entities, before a request goes down. Each application sees its own pairs alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec

from quoit.fabric.api import (
    CancelPairs,
    CloseVirtualCircuit,
    FreeSlots,
    OpenVirtualCircuit,
    PairsAccepted,
    PairsFailed,
    PairsMade,
    ReceivePairs,
    StopReceiving,
    VirtualCircuit,
    link_service,
    memory,
    network_service,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.runtime.wire import Message, message
from quoit.service.api import (
    AskOver,
    AskPairs,
    ClosePairCircuit,
    GivePairsUp,
    OpenPairCircuit,
    PairCircuit,
    PairNews,
    PairsAsked,
    PairTold,
    TakePairs,
    TakePart,
    eme,
)
from quoit.service.directory import Attachment
from quoit.service.memories import POLL_NS, WITHIN, MemoryDesk
from quoit.service.states import Heard

MOST_NEWS = 4_096
"""OKs and ERRs that wait for one application; beyond that pairs are thrown away."""
MOST_REMEMBERED = 8_192
NOTHING = PairNews(())


@message("service.AgreePairs")
class AgreePairs(Message):
    """One application's entity to the other's: does `to` take part in `sender`'s pairs with this purpose? Answered with
    `Heard`; Problem `not-receiving`."""

    sender: str
    to: str
    purpose: int


@dataclass(frozen=True)
class _Side:
    """Whose a request's pairs are at this node, and with whom."""

    sae: str
    peer: str
    mine: bool


class PairDesk(MemoryDesk):
    """The part of an entanglement management entity that asks the link service for its applications."""

    def __init__(self, name: str, node: str, domain: str, apps: tuple[Attachment, ...]) -> None:
        super().__init__(name, node, domain, apps)
        self._taking: dict[tuple[str, int], _Side] = {}
        self._sides: dict[tuple[str, str, int], _Side] = {}
        self._pair_circuits: dict[str, _Side] = {}
        self._opened = 0
        self._told: dict[str, deque[PairTold]] = {sae: deque() for sae in self._apps}

    @handles(AskPairs)
    async def on_ask_pairs(self, ctx: Context, msg: AskPairs) -> PairsAsked:
        found = await self._resolve(ctx, self._app(msg.caller), msg.request.remote)
        await ctx.ask(eme(found.node), AgreePairs(msg.caller, found.sae, msg.request.purpose), within=WITHIN)
        order = msgspec.structs.replace(msg.request, client=self.name, remote=found.node)
        accepted: PairsAccepted = await ctx.ask(link_service(self._node), order, within=WITHIN)
        self._remember_side(("", self._node, accepted.create_id), _Side(msg.caller, found.sae, True))
        return PairsAsked(accepted.create_id)

    # -- circuits ------------------------------------------------------------------------------------

    @handles(OpenPairCircuit)
    async def on_open_circuit(self, ctx: Context, msg: OpenPairCircuit) -> PairCircuit:
        found = await self._resolve(ctx, self._app(msg.caller), msg.peer)
        self._opened += 1
        name = f"{self._node}.{self._opened}"
        order = OpenVirtualCircuit(name, found.node, msg.fidelity)
        made: VirtualCircuit = await ctx.ask(network_service(self._node), order, within=2 * WITHIN)
        self._pair_circuits[name] = _Side(msg.caller, found.sae, True)
        return PairCircuit(name, found.sae, made.nodes, made.fidelity, made.rate_hz)

    @handles(ClosePairCircuit)
    async def on_close_circuit(self, ctx: Context, msg: ClosePairCircuit) -> PairNews:
        self._own_circuit(msg.caller, msg.circuit)
        await ctx.ask(network_service(self._node), CloseVirtualCircuit(msg.circuit), within=WITHIN)
        self._pair_circuits.pop(msg.circuit, None)
        return NOTHING

    @handles(AskOver)
    async def on_ask_over(self, ctx: Context, msg: AskOver) -> PairsAsked:
        side = self._own_circuit(msg.caller, msg.request.circuit)
        found = await self._resolve(ctx, self._app(msg.caller), side.peer)
        await ctx.ask(eme(found.node), AgreePairs(msg.caller, found.sae, msg.request.purpose), within=WITHIN)
        order = msgspec.structs.replace(msg.request, client=self.name)
        accepted: PairsAccepted = await ctx.ask(network_service(self._node), order, within=WITHIN)
        self._remember_side((order.circuit, self._node, accepted.create_id), side)
        return PairsAsked(accepted.create_id)

    def _own_circuit(self, caller: str, circuit: str) -> _Side:
        self._app(caller)
        side = self._pair_circuits.get(circuit)
        if side is None or side.sae != caller:
            raise Problem("no-such-element", "expected a circuit of the caller's")
        return side

    # -- who takes part --------------------------------------------------------------------------------

    @handles(AgreePairs)
    async def on_agree(self, ctx: Context, msg: AgreePairs) -> Heard:
        if not any((s.sae, s.peer, p) == (msg.to, msg.sender, msg.purpose) for (_, p), s in self._taking.items()):
            text = f"{msg.to} does not take part in pairs of {msg.sender} for purpose {msg.purpose}"
            raise Problem("not-receiving", text, err="REJECTED")
        return Heard()

    @handles(TakePart)
    async def on_take_part(self, ctx: Context, msg: TakePart) -> PairNews:
        found = await self._resolve(ctx, self._app(msg.caller), msg.peer)
        door, side = (found.node, msg.purpose), _Side(msg.caller, found.sae, False)
        if self._taking.get(door, side) != side:
            raise Problem("unit-exists", f"purpose {msg.purpose} is in use between these nodes")
        order = (StopReceiving if msg.stop else ReceivePairs)(self.name, found.node, msg.purpose)
        self._taking[door] = side
        try:
            for service in (link_service(self._node), network_service(self._node)):
                await ctx.ask(service, order, within=WITHIN)
        except Problem:
            self._taking.pop(door, None)
            raise
        if msg.stop:
            self._taking.pop(door, None)
        return NOTHING

    @handles(GivePairsUp)
    async def on_give_up(self, ctx: Context, msg: GivePairsUp) -> PairNews:
        self._app(msg.caller)
        side = self._sides.get((msg.circuit, self._node, msg.create_id))
        if side is None or side.sae != msg.caller:
            raise Problem("no-such-element", "expected a request of the caller's under way")
        service = (network_service if msg.circuit else link_service)(self._node)
        await ctx.ask(service, CancelPairs(self.name, msg.create_id), within=WITHIN)
        return NOTHING

    @handles(TakePairs)
    async def on_take_pairs(self, ctx: Context, msg: TakePairs) -> PairNews:
        self._app(msg.caller)
        inbox, end = self._told[msg.caller], ctx.now + msg.wait_ns
        while not inbox and ctx.now < end:
            await ctx.sleep(min(POLL_NS, end - ctx.now))
        taken = tuple(inbox)
        inbox.clear()
        return PairNews(taken)

    # -- what the link service tells -------------------------------------------------------------------

    @handles(PairsMade)
    async def on_pairs_made(self, ctx: Context, msg: PairsMade) -> None:
        side = self._side(msg)
        slots = tuple(pair.slot for pair in msg.pairs if pair.slot is not None)
        if side is None or len(self._told[side.sae]) >= MOST_NEWS:
            ctx.emit("pairs.unread", node=self._node, origin=msg.origin, create_id=msg.create_id)
            if slots:
                await ctx.ask(memory(self._node), FreeSlots(self.name, slots), within=WITHIN)
            return
        self._memory.update(dict.fromkeys(slots, side.sae))
        addresses = tuple("" if pair.slot is None else f"{self._node}/{pair.slot}" for pair in msg.pairs)
        self._told[side.sae].append(
            PairTold(
                msg.create_id, side.mine, side.peer, msg.purpose, msg.kind, msg.pairs, addresses, msg.done,
                circuit=msg.circuit,
            )
        )  # fmt: skip

    @handles(PairsFailed)
    async def on_pairs_failed(self, ctx: Context, msg: PairsFailed) -> None:
        side = self._side(msg)
        if side is not None and len(self._told[side.sae]) < MOST_NEWS:
            told = PairTold(
                msg.create_id, side.mine, side.peer, msg.purpose, code=msg.code, why=msg.why, low=msg.low,
                high=msg.high, circuit=msg.circuit,
            )  # fmt: skip
            self._told[side.sae].append(told)

    def _side(self, msg: PairsMade | PairsFailed) -> _Side | None:
        key = msg.circuit, msg.origin, msg.create_id
        side = self._sides.get(key)
        if side is None and msg.origin != self._node:
            side = self._taking.get((msg.remote, msg.purpose))
            if side is not None:
                self._remember_side(key, side)
        return side

    def _remember_side(self, key: tuple[str, str, int], side: _Side) -> None:
        self._sides.pop(key, None)
        self._sides[key] = side
        while len(self._sides) > MOST_REMEMBERED:
            del self._sides[next(iter(self._sides))]
