"""Pairs for programs of hosts: what is done at either end with memories and halves."""

from __future__ import annotations

from math import pi

from quoit.fabric.api import FreeSlots, OperateSlots, ReserveSlots, Slots, SlotsDone, memory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element
from quoit.service.api import QNPU_NEWS, PairMade, PairReading, PairsFailed, PairsMatched
from quoit.service.program_state import AXES, BASES, TURNS, WITHIN, Door, Half, Making, Offered, Taking


class ProgramEnd(Element):
    """What both ends of a request have in common: memories, readings, news."""

    def __init__(self, name: str, node: str, settle_ns: int) -> None:
        super().__init__(name, node)
        self._node = node
        self._settle_ns = settle_ns
        self._making: dict[int, Making] = {}
        self._taking: dict[int, Taking] = {}
        self._offers: dict[Door, list[Offered]] = {}
        self._matching: set[Door] = set()
        self._coming: dict[int, Half] = {}
        self._pairs_to: dict[str, int] = {}

    async def _act(
        self, ctx: Context, name: str, slots: tuple[int, ...], angle_rad: float = 0.0, pauli: str = "I"
    ) -> SlotsDone:
        order = OperateSlots(self.name, name, slots, "Z", angle_rad, pauli)
        done: SlotsDone = await ctx.ask(memory(self._node), order, within=WITHIN)
        return done

    def _publish(self, ctx: Context, news: PairsMatched | PairMade | PairsFailed) -> None:
        ctx.publish(f"{QNPU_NEWS}.{self._node}", news)

    async def _reserve(self, ctx: Context, claim: str) -> int | None:
        try:
            answer: Slots = await ctx.ask(memory(self._node), ReserveSlots(self.name, 1, claim=claim), within=WITHIN)
        except Problem as problem:
            if problem.code == "no-memory":
                return None
            raise
        return answer.slots[0]

    def _forget(self, request: Making | Taking) -> None:
        self._coming = {slot: half for slot, half in self._coming.items() if half.of is not request}

    async def _free(self, ctx: Context, slots: set[int]) -> None:
        taken = tuple(sorted(slots))
        slots.clear()
        if taken:
            await ctx.ask(memory(self._node), FreeSlots(self.name, taken), within=WITHIN)

    async def _read(self, ctx: Context, slot: int, reading: PairReading) -> tuple[int, int]:
        """What is read, and the basis if it was drawn."""
        basis = 0
        if reading.random:
            choices = BASES[reading.random]
            basis = choices[int(ctx.rng("bases").integers(len(choices)))]
            for name, angle in TURNS[basis]:
                await self._act(ctx, name, (slot,), angle, "Z" if name == "correct" else "I")
        else:
            for axis, units in zip(AXES[reading.axes], reading.rotations, strict=True):
                if units:
                    await self._act(ctx, axis, (slot,), units * pi / 16)
        return (await self._act(ctx, "measure", (slot,))).bits[0], basis
