"""A node's quantum network processing unit: memories set apart for programs of hosts, and what these do with them.

The name is QNodeOS's (doi:10.1038/s41586-025-08704-w): a host runs a program's classical part and sends the quantum
part here. Whoever is let in at the node's door is the door's matter; here a request is a request of the node's.
"""

from __future__ import annotations

from math import pi

from quoit.fabric.api import ReserveSlots, Slots, SlotsDone, memory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.api import (
    QNPU_NEWS,
    ActOnQubits,
    Claimed,
    ClaimQubits,
    Operation,
    QnpuHeard,
    SendWord,
    WordCame,
    qnpu,
)
from quoit.service.program_pairs import ProgramPairs
from quoit.service.program_state import WITHIN

ACTS = frozenset(
    ["init", "discard", "move", "measure", "x", "y", "z", "h", "s", "k", "t", "rx", "ry", "rz", "cnot", "cz", "swap"]
)
LONGEST_WORD = 64 * 1024
"""Characters of a text between applications."""


@message("service.CarryWord")
class CarryWord(Message):
    """One processing unit to another: a text between applications. Answered with `QnpuHeard`."""

    sender: str
    to: str
    socket: int
    text: str


class Qnpu(ProgramPairs):
    """Runs what hosts ask of one node."""

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE
    realises = ("D1", "D3")

    def __init__(self, node: str, settle_ns: int) -> None:
        """`settle_ns`: after a circuit was closed, how long until nothing of it can come to a memory."""
        super().__init__(qnpu(node), node, settle_ns)

    @handles(ClaimQubits)
    async def on_claim(self, ctx: Context, msg: ClaimQubits) -> Claimed:
        answer: Slots = await ctx.ask(memory(self._node), ReserveSlots(self.name, msg.number), within=WITHIN)
        return Claimed(answer.slots)

    @handles(ActOnQubits)
    async def on_act(self, ctx: Context, msg: ActOnQubits) -> Operation:
        if msg.name not in ACTS:
            raise Problem("bad-operation", f"expected one of {', '.join(sorted(ACTS))}; found {msg.name[:40]!r}")
        done: SlotsDone
        if msg.name == "k":
            # (Y + Z)/sqrt(2) = RX(-pi/2) Z. The Z is noted, so this is one gate, and has one gate's noise.
            await self._act(ctx, "correct", msg.slots, pauli="Z")
            done = await self._act(ctx, "rx", msg.slots, -pi / 2)
        else:
            done = await self._act(ctx, msg.name, msg.slots, msg.angle_rad)
        return Operation(done.bits, done.ok, done.done_ns)

    # -- text between applications -------------------------------------------------------------------

    @handles(SendWord)
    async def on_send(self, ctx: Context, msg: SendWord) -> QnpuHeard:
        if len(msg.text) > LONGEST_WORD:
            raise Problem("malformed", f"expected a text of {LONGEST_WORD} characters at most, found {len(msg.text)}")
        word = CarryWord(msg.sender, msg.to, msg.socket, msg.text)
        if msg.node == self._node:
            return self._arrive(ctx, word)
        heard: QnpuHeard = await ctx.ask(qnpu(msg.node), word, within=WITHIN)
        return heard

    @handles(CarryWord)
    async def on_carry(self, ctx: Context, msg: CarryWord) -> QnpuHeard:
        return self._arrive(ctx, msg)

    def _arrive(self, ctx: Context, word: CarryWord) -> QnpuHeard:
        ctx.publish(f"{QNPU_NEWS}.{self._node}", WordCame(self._node, word.sender, word.to, word.socket, word.text))
        return QnpuHeard()
