"""Elements of a twin behind a RESTCONF server: configuration goes in, state and notifications come out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.elements import ElementProvider, carry_news, simulated_now
from quoit.interfaces.restconf.exchange import Request
from quoit.model.problem import Problem
from quoit.planes.configuration import (
    CONFIGURATION_NEWS,
    ApplyConfiguration,
    ConfigurationApplied,
    Invoke,
    Invoked,
    Notification,
    ReadState,
    StateChanged,
    StateRead,
)
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from restconf_lab import DATA, LAB, ROOT, Lab, error_of, models

SECOND = 10**9


class Librarian(Element):
    """Keeps the titles that were configured; takes no title that is too long for its sign."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL

    def __init__(self, name: str, longest: int) -> None:
        super().__init__(name, "library")
        self.longest = longest
        self.titles: list[str] = []

    @handles(ReadState)
    async def read(self, ctx: Context, msg: ReadState) -> StateRead:
        return StateRead(json.dumps({"quoit-lab:lab": {"uptime": ctx.now // SECOND}}))

    @handles(ApplyConfiguration)
    async def apply(self, ctx: Context, msg: ApplyConfiguration) -> ConfigurationApplied:
        title = json.loads(msg.after).get("quoit-lab:lab", {}).get("title", "")
        await ctx.sleep(2 * SECOND)  # painting takes its time
        if len(title) > self.longest:
            raise Problem("bad-operation", f"the sign takes {self.longest} letters")
        self.titles.append(title)
        row = json.dumps({"row": title})
        ctx.publish(
            f"{CONFIGURATION_NEWS}.{self.name}", Notification(self.name, "quoit-lab:lent", row, ctx.now, "loans")
        )
        ctx.publish(f"{CONFIGURATION_NEWS}.{self.name}", StateChanged(self.name))
        return ConfigurationApplied()

    @handles(Invoke)
    async def invoke(self, ctx: Context, msg: Invoke) -> Invoked:
        given = json.loads(msg.given)
        return Invoked(json.dumps({"until": f"{msg.caller} {given['row']}"}))


class DirectGate:
    """A gate into a virtual world, for one request at a time."""

    def __init__(self, kernel: Kernel) -> None:
        self.world = VirtualWorld(kernel)
        self.world.begin()
        self._queues: dict[type[Message], asyncio.Queue[Message]] = {}
        kernel.watchers.append(self._heard)

    def _heard(self, subject: str, msg: Message) -> None:
        if type(msg) in self._queues:
            self._queues[type(msg)].put_nowait(msg)

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Message:
        answer: Message = self.world.ask(to, msg, round(within_s * SECOND))
        return answer

    def now_ns(self) -> int:
        return self.world.kernel.now

    def unix_s(self, at_ns: int) -> float:
        return 1_700_000_000 + at_ns / SECOND

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        queue = self._queues.setdefault(kind, asyncio.Queue())
        while True:
            yield await queue.get()


def test_a_commit_is_a_message_to_each_element_and_a_refusal_takes_it_back() -> None:
    async def work() -> None:
        first, second = Librarian("first", 20), Librarian("second", 6)
        gate = DirectGate(Kernel([first, second]))
        roots = ["quoit-lab:lab"]
        providers = [
            ElementProvider(gate, "first", roots, ["quoit-lab:lend"]),
            ElementProvider(gate, "second", roots),
        ]
        core = Restconf(
            models()[0], providers, now=lambda: simulated_now(gate), access=writers({"me"}), streams={"loans": "Loans."}
        )
        lab = Lab()
        lab.core = core
        news = asyncio.create_task(carry_news(gate, core, ["first"]))
        heard = []
        core.store.listen(lambda: heard.append(core.streams["loans"]))
        await asyncio.sleep(0)

        assert (await lab.ask("PUT", LAB, {"quoit-lab:lab": {"title": "short"}})).status == 201
        assert (first.titles, second.titles) == (["short"], ["short"])
        assert gate.now_ns() == 4 * SECOND  # one after the other, in simulated time
        assert (await lab.get(LAB))["uptime"] == 4
        refused = await lab.ask("PUT", LAB, {"quoit-lab:lab": {"title": "rather long"}})
        assert error_of(refused) == (400, "invalid-value", "bad-operation")
        assert (first.titles, second.titles) == (["short", "rather long", "short"], ["short"])
        assert (await lab.get(LAB))["title"] == "short"
        late = await core.handle(_lend())
        assert late.json() == {"quoit-lab:output": {"until": "me A"}}

        await lab.settle()
        events = core.streams["loans"].log
        assert [e.content["row"] for e in events] == ["short", "rather long", "short"]
        assert events[0].at.isoformat() == "2023-11-14T22:13:22+00:00"
        assert (await lab.ask("GET", DATA)).header("last-modified") == "Tue, 14 Nov 2023 22:13:24 GMT"
        assert len(heard) == 4  # one commit, and three times word of changed state
        news.cancel()
        with pytest.raises(asyncio.CancelledError):
            await news
        await core.close()

    asyncio.run(work())


def _lend() -> Request:
    body = json.dumps({"quoit-lab:input": {"row": "A"}}).encode()
    headers = {"content-type": "application/yang-data+json"}
    return Request("POST", f"{ROOT}/operations/quoit-lab:lend", "", headers, body, "me")


def test_an_element_that_does_not_answer_in_time_is_said_to_have_failed() -> None:
    async def work() -> None:
        gate = DirectGate(Kernel([Librarian("first", 20)]))
        provider = ElementProvider(gate, "first", ["quoit-lab:lab"], within_s=1.0)
        lab = Lab()
        lab.core = Restconf(models()[0], [provider], now=lambda: simulated_now(gate), access=writers({"me"}))
        refused = await lab.ask("PUT", LAB, {"quoit-lab:lab": {"title": "x"}})
        assert error_of(refused) == (500, "operation-failed", "deadline")
        assert (await lab.ask("GET", LAB + "/title")).status == 404

    asyncio.run(work())
