"""The head's module of a link whose pairs a circuit delivers: it runs what control compiled.

All else is as on any link (`fabric.module`): the tail's module is a `ReceiverModule`, and both ends' blocks go to their
own agents. Nodes between them swap, and hold nothing of the key.
"""

from __future__ import annotations

from quoit.engine.api import MEASURED, CloseLink, MeasurePairs
from quoit.engine.program import Circuit
from quoit.fabric.module import ActivateLink, DeactivateLink, SenderModule
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.runtime.wire import Message, message


@message("fabric.RunKeyCircuit")
class RunKeyCircuit(Message):
    """Control to the head's module: run this program over these links for entangled pairs."""

    link: str
    over: tuple[str, ...]
    program: Circuit


class PairSenderModule(SenderModule):
    """The head of a circuit whose pairs are read at once at both ends."""

    @handles(RunKeyCircuit)
    async def on_run(self, ctx: Context, msg: RunKeyCircuit) -> None:
        ends = self._ends
        ctx.tell(MEASURED, MeasurePairs(msg.link, msg.over, ends.sender, ends.receiver, msg.program))
        self._agent.paused(ctx, msg.link, ends.sender, False)

    @handles(ActivateLink)
    async def on_activate(self, ctx: Context, msg: ActivateLink) -> None:
        """Nothing: a circuit must be compiled first."""

    @handles(DeactivateLink)
    async def on_deactivate(self, ctx: Context, msg: DeactivateLink) -> None:
        ctx.tell(MEASURED, CloseLink(msg.link))
        self._agent.paused(ctx, msg.link, self._ends.sender, True)
