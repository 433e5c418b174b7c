"""Nodes of a twin in virtual time, without sockets: text subroutines into executors over its real circuits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("netqasm", reason="needs the NetQASM SDK: pip install 'quoit[netqasm]'")

from quoit.interfaces.netqasm.executor import Executor, Returned
from quoit.interfaces.netqasm.parser import from_text
from quoit.interfaces.netqasm.twin import TwinExchange, TwinProcessor, follow
from quoit.scenario.netqasm.doors import build
from quoit.sdk import VirtualNetwork, virtual_network

NETWORK = """
quoit: 1
name: line
policies: {{control_latency: 10us}}
nodes:
  a: {{memories: {{number: {number}{memories}}}}}
  b: {{memories: {{number: {number}{memories}}}}}
  c: {{memories: {{number: {number}{memories}}}}}
  far: {{memories: {{number: 3}}}}
spans:
  - {{between: [a, b], length: 2 km}}
  - {{between: [b, c], length: 2 km}}
pair_links:
  - {{between: [a, b], success: 0.5, fidelity: {fidelity}, attempt: 10us}}
  - {{between: [b, c], success: 0.5, fidelity: {fidelity}, attempt: 10us}}
applications:
  - {{sae: alice, kme: kme-a}}
  - {{sae: bob, kme: kme-b}}
  - {{sae: charlie, kme: kme-c}}
  - {{sae: hermit, kme: kme-c, allow: [bob]}}
"""


class TwinLab:
    """Executors of nodes a, b, c in a line (ids 0, 1, 2), each with an application of the node's name and id 0, and EPR
    socket 0 between any two; `far` (3) is linked to nothing."""

    def __init__(self, network: VirtualNetwork, patience_s: float, claim: int) -> None:
        self.network = network
        self.gate = network.gate
        nodes = ("a", "b", "c", "far")
        patience_ns = round(patience_s * 1e9)
        self.processors: dict[str, TwinProcessor]
        self.exchange: TwinExchange
        self.processors, self.exchange = build(
            self.gate, network.twin.network, nodes, network.twin.attachments, patience_ns, self.gate.sleep
        )
        self.claimed = claim
        self.executors = {
            name: Executor(self.processors[name], nodes, patience_ns=patience_ns) for name in ("a", "b", "c")
        }

    async def begin(self) -> None:
        for number, (name, executor) in enumerate(self.executors.items()):
            await self.processors[name].claim(self.claimed)
            executor.init_app((name, 0), self.claimed)
            for other in range(3):
                if other != number:
                    executor.open_socket((name, 0), 0, other, 0, 100)

    async def run(self, node: str, text: str) -> list[Returned]:
        """One subroutine from begin to end; raises what it raises."""
        returned: list[Returned] = []
        await self.executors[node].run((node, 0), from_text(text), returned.append)
        return returned


def play(
    story: Callable[[TwinLab], Awaitable[Any]],
    *,
    seed: int = 1,
    fidelity: float = 1.0,
    number: int = 6,
    claim: int = 4,
    memories: str = "",
    patience_s: float = 1.0,
) -> Any:
    """Play a story in a lab of its own."""
    network = virtual_network(NETWORK.format(fidelity=fidelity, number=number, memories=memories), seed)

    async def whole() -> Any:
        lab = TwinLab(network, patience_s, claim)
        news = asyncio.create_task(follow(lab.gate, lab.processors, lab.exchange))
        await asyncio.sleep(0)
        try:
            await lab.begin()
            return await story(lab)
        finally:
            news.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await news

    return asyncio.run(whole())
