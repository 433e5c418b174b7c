"""A network with SDN agents in virtual time, and RESTCONF servers of them whose every answer is validated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Any

from yangson import DataModel
from yangson.enumerations import ContentType

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric import api
from quoit.fabric.sdqkd import tree
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.elements import carry_news, follow_configuration
from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.schema import Schema
from quoit.model.problem import Problem
from quoit.planes.configuration import ApplyConfiguration, ReadConfiguration, ReadState
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from quoit.scenario.agent_doors import MODULES, agent_core
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads

S = 1_000_000_000
HERE = "/restconf/data/etsi-qkd-sdn-node:qkd_node"
JSON = "application/yang-data+json"
LINE = """
quoit: 1
name: line
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: bc, between: [b, c], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bc, between: [b, c], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: app-a, kme: kme-a}
  - {sae: app-c, kme: kme-c}
policies: {agents: true}
"""


@cache
def schema() -> Schema:
    return Schema(ModuleSet.of(MODULES))


@cache
def model() -> DataModel:
    """Of the modules alone, and independent of what the servers use."""
    return ModuleSet.of(MODULES, base=()).load()


class VirtualGate:
    """A gate into a virtual world, for one request at a time."""

    def __init__(self, world: VirtualWorld) -> None:
        self.world = world
        self._queues: list[tuple[type[Message], asyncio.Queue[Message]]] = []
        world.kernel.watchers.append(self._heard)

    def _heard(self, subject: str, msg: Message) -> None:
        for kind, queue in self._queues:
            if type(msg) is kind:
                queue.put_nowait(msg)

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Message:
        answer: Message = self.world.ask(to, msg, round(within_s * S))
        return answer

    def now_ns(self) -> int:
        return self.world.kernel.now

    def unix_s(self, at_ns: int) -> float:
        return 1_767_225_600 + at_ns / S

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._queues.append((kind, queue))
        while True:
            yield await queue.get()


class SdqkdLab:
    """`text`: the network. `cores`: a RESTCONF server a node, made when first asked for."""

    def __init__(self, text: str = LINE, until_s: float = 10.0) -> None:
        self.network = loads(text, "lab")
        self.twin = assemble(self.network, Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        self.twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self.world.run_until(round(until_s * S))
        self.gate = VirtualGate(self.world)
        self.cores: dict[str, Restconf] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def id_of(self, kind: str, name: str) -> str:
        return tree.id_of(self.network.name, kind, name)

    def pass_s(self, seconds: float) -> None:
        self.world.run_until(self.world.kernel.now + round(seconds * S))

    def said(self, event: str) -> list[dict[str, Any]]:
        return [e.fields for e in self.events if e.event == event]

    # -- by messages -------------------------------------------------------------------------------------

    def node(self, name: str) -> tree.Node:
        """The configuration, which must be valid."""
        text = self.world.ask(api.agent(name), ReadConfiguration()).tree
        schema().validated(json.loads(text))
        found = tree.read(text)
        assert found is not None
        return found

    def state(self, name: str) -> tree.Node:
        text = self.world.ask(api.agent(name), ReadState(())).tree
        schema().canonical(json.loads(text))
        found = tree.read(text)
        assert found is not None
        return found

    def apply(self, name: str, after: tree.Node, before: tree.Node | None = None) -> None:
        """Replace the node's configuration by a message, as a controller in the twin does."""
        order = ApplyConfiguration("test", tree.write(before or self.node(name)), tree.write(after))
        self.world.ask(api.agent(name), order)

    def refusal(self, name: str, after: tree.Node, before: tree.Node | None = None) -> Problem:
        try:
            self.apply(name, after, before)
        except Problem as problem:
            return problem
        raise AssertionError("the edit was taken")

    # -- by RESTCONF -------------------------------------------------------------------------------------

    async def core(self, node: str) -> Restconf:
        if node not in self.cores:
            core, provider = await agent_core(self.gate, node, schema())
            self.cores[node] = core
            self._tasks.append(asyncio.create_task(carry_news(self.gate, core, [api.agent(node)])))
            self._tasks.append(asyncio.create_task(follow_configuration(self.gate, core, provider)))
            await self.settle()
        return self.cores[node]

    async def ask(
        self, node: str, method: str, path: str = "", body: Any = None, *, caller: str = "controller", query: str = ""
    ) -> Response:
        """One request to a node's server below its root; the answer is validated by the other model."""
        core = await self.core(node)
        headers = {} if body is None else {"content-type": JSON}
        content = b"" if body is None else json.dumps(body).encode()
        response = await core.handle(Request(method, HERE + path, query, headers, content, caller))
        if method == "GET" and response.status == 200:
            self._check(path, query, response.json())
        elif response.status >= 400:
            assert list(response.json()) == ["ietf-restconf:errors"]
        await self.settle()
        return response

    def _check(self, path: str, query: str, body: Any) -> None:
        if not path:
            kind = ContentType.config if "content=config" in query else ContentType.all
            model().from_raw(body).validate(ctype=kind)
            return
        plain = "/" + "/".join(part.partition("=")[0] for part in path.strip("/").split("/"))
        node = model().get_data_node("/etsi-qkd-sdn-node:qkd_node" + plain)
        assert node is not None
        (value,) = body.values()
        node.orphan_instance(value)

    async def get(self, node: str, path: str = "", query: str = "") -> Any:
        response = await self.ask(node, "GET", path, query=query)
        assert response.status == 200, response.body
        (value,) = response.json().values()
        return value

    def notifications(self, node: str) -> list[tuple[str, Any]]:
        """Names and contents of all that went out at a node's default stream; the server has validated them."""
        return [(e.name.partition(":")[2], e.content) for e in self.cores[node].streams["NETCONF"].log]

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for core in self.cores.values():
            await core.close()


def with_lab(work: Callable[[SdqkdLab], Awaitable[None]], text: str = LINE, until_s: float = 10.0) -> None:
    """Run a test's coroutine with a lab."""

    async def run() -> None:
        lab = SdqkdLab(text, until_s)
        try:
            await work(lab)
        finally:
            await lab.close()

    asyncio.run(run())
