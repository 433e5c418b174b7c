"""The fabric's controller in a process of its own: the same element, over RESTCONF to agents of ours or of anybody."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping

from quoit.fabric import api
from quoit.fabric.api import OpenFlow
from quoit.fabric.control_front import ControlFront
from quoit.fabric.remote_agent import RemoteAgent
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd_controller import SdqkdController
from quoit.interfaces.restconf.client import RestconfClient
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.remote import Remote, carry_calls
from quoit.interfaces.restconf.schema import Schema
from quoit.model.problem import Problem
from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LiveWorld
from quoit.runtime.trace import Event
from quoit.scenario.agent_doors import MODULES, ROOT

HERE = "controller"
"""Where all elements of this process are."""
ASK_AGAIN_S = 1.0


class OutsideController:
    """Controls the nodes behind `agents` (name: base URL). `network`: names what it makes, and must be the same each
    time. It takes over with an epoch above all that the nodes have seen, and is at its end when somebody else does."""

    def __init__(
        self,
        network: str,
        agents: Mapping[str, str],
        tls: ssl.SSLContext | None,
        pairs: tuple[tuple[str, str], ...] = (),
        told: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._network = network
        self._tls = tls
        self._agents = dict(agents)
        self._pairs = pairs
        self._told = told
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[RestconfClient] = []
        self._fenced = asyncio.Event()
        self._world: LiveWorld | None = None
        self.connected: set[tuple[str, str]] = set()

    async def start(self) -> None:
        """Look who has the nodes, and take over. Raises Problem if no agent answers."""
        schema = Schema(ModuleSet.of(MODULES))
        clients = {node: RestconfClient(url, self._tls) for node, url in self._agents.items()}
        self._clients = list(clients.values())
        epoch = await self._last_epoch(clients)
        remotes = {api.agent(node): Remote(client, schema, ROOT) for node, client in clients.items()}
        for remote in remotes.values():
            with contextlib.suppress(Problem):  # one that is away now is asked again when it is needed
                await remote.get_to_know()
        nodes = tuple(self._agents)
        elements = [
            ControlFront(HERE, after_epoch=epoch),
            SdqkdController(HERE, self._network, nodes, (), optical=False),
            *(RemoteAgent(node, HERE) for node in nodes),
        ]
        kernel = Kernel(elements)
        kernel.sinks.append(self._heard)
        world = self._world = LiveWorld(kernel)
        kernel.start()
        self._tasks = [asyncio.create_task(carry_calls(world, remotes))]
        await asyncio.sleep(0)  # it listens before the first call is made
        world.begin()
        self._tasks += [asyncio.create_task(self._connect(pair)) for pair in self._pairs]

    async def _last_epoch(self, clients: Mapping[str, RestconfClient]) -> int:
        """The highest epoch that the nodes have seen."""
        seen, problem = [], Problem("peer-unreachable", "there are no agents")
        for node, client in clients.items():
            try:
                body = (await client.get(f"{ROOT}/{tree.CONTROL}")).body
                seen.append(int((body or {})[tree.CONTROL]["epoch"]))
            except Problem as fault:
                if fault.code not in ("no-such-data", "malformed"):  # nobody has it, or it does not know of epochs
                    problem = Problem(fault.code, f"agent of {node}: {fault.detail}")
                    continue
                seen.append(0)
            except (KeyError, TypeError, ValueError):
                raise Problem("bad-answer", f"the agent of {node} gave no epoch") from None
        if not seen:
            raise problem
        return max(seen)

    def _heard(self, event: Event) -> None:
        self._told(event)
        if event.event == "control.fenced":
            self._fenced.set()

    async def _connect(self, pair: tuple[str, str]) -> None:
        """Have a route kept for a pair of nodes; until there is one, ask again."""
        assert self._world is not None
        while True:
            try:
                await self._world.ask(api.CONTROLLER, OpenFlow(*pair), 5.0)
                self.connected.add(pair)
            except Problem:
                self.connected.discard(pair)
            await asyncio.sleep(ASK_AGAIN_S)

    async def fenced(self) -> None:
        """Wait until another controller has taken over."""
        await self._fenced.wait()

    async def stop(self) -> None:
        """Let go. What was configured stays, and keys flow on."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._world is not None:
            self._world.end()
        for client in self._clients:
            await client.close()
