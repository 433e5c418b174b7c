"""An SDN agent that is reached over an interface: it stands for it towards a controller in this process (A3)."""

from __future__ import annotations

from quoit.fabric import api
from quoit.model.problem import PROBLEMS, Problem
from quoit.planes.configuration import (
    CONFIGURATION_NEWS,
    ApplyConfiguration,
    ConfigurationApplied,
    ConfigurationRead,
    Notification,
    ReadConfiguration,
    ReadState,
    StateRead,
)
from quoit.planes.remote import REMOTE_NEWS, Call, RemoteAnswer, RemoteCall, RemoteNews
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

WITHIN = 1_800_000_000
"""Less than a controller waits for an agent."""
POLL_NS = 2_000_000
MOST_CALLS = 64


class RemoteAgent(Element):
    """One node's. `place`: the controller's, since what it takes to the agent and back is real time."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("A3",)

    def __init__(self, node: str, place: str) -> None:
        super().__init__(api.agent(node), place)
        self._number = 0
        self._waiting: set[int] = set()
        self._answers: dict[int, RemoteAnswer] = {}

    @handles(ReadConfiguration)
    async def on_read(self, ctx: Context, msg: ReadConfiguration) -> ConfigurationRead:
        return ConfigurationRead((await self._call(ctx, Call.CONFIGURATION)).tree)

    @handles(ReadState)
    async def on_state(self, ctx: Context, msg: ReadState) -> StateRead:
        return StateRead((await self._call(ctx, Call.STATE)).tree)

    @handles(ApplyConfiguration)
    async def on_apply(self, ctx: Context, msg: ApplyConfiguration) -> ConfigurationApplied:
        await self._call(ctx, Call.APPLY, msg.before, msg.after)
        return ConfigurationApplied()

    async def _call(self, ctx: Context, call: Call, before: str = "", after: str = "") -> RemoteAnswer:
        if len(self._waiting) >= MOST_CALLS:
            raise Problem("overloaded", f"{MOST_CALLS} calls to {self.name} wait already")
        self._number += 1
        number, end = self._number, ctx.now + WITHIN
        self._waiting.add(number)
        try:
            ctx.publish(f"{REMOTE_NEWS}.{self.name}", RemoteCall(self.name, number, call, before, after))
            while number not in self._answers:
                if ctx.now >= end:
                    raise Problem("deadline", f"{self.name} did not answer")
                await ctx.sleep(POLL_NS)
            answer = self._answers.pop(number)
        finally:
            self._waiting.discard(number)
        if answer.problem:
            raise Problem(answer.problem if answer.problem in PROBLEMS else "peer-failed", answer.detail)
        return answer

    @handles(RemoteAnswer)
    async def on_answer(self, ctx: Context, msg: RemoteAnswer) -> RemoteAnswer:
        if msg.number in self._waiting:  # else it comes too late
            self._answers[msg.number] = msg
        return msg

    @handles(RemoteNews)
    async def on_news(self, ctx: Context, msg: RemoteNews) -> RemoteNews:
        ctx.publish(f"{CONFIGURATION_NEWS}.{self.name}", Notification(self.name, msg.name, msg.content, ctx.now))
        return msg
