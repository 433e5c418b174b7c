"""Doors for programs of a running twin: a processor over its gate, an executor, and a listener for each node."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quoit.interfaces.identity import Peer
from quoit.interfaces.listener import Census, ListenerLimits
from quoit.interfaces.netqasm.door import TlsDoor, open_door
from quoit.interfaces.netqasm.executor import Executor
from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.interfaces.netqasm.server import NodeServer, RealPace
from quoit.interfaces.netqasm.twin import TwinExchange, TwinProcessor, follow
from quoit.model.problem import Problem
from quoit.runtime.gate import Gate
from quoit.scenario.schema import NetworkFile
from quoit.service.directory import Attachment, need_leave

PATIENCE_NS = 60_000_000_000
"""Simulated time that a program may wait for a pair or a word, if it does not say."""
MOST_INSTRUCTIONS = 1_000_000
"""Of a subroutine: a program shares this machine with the twin."""


@dataclass(frozen=True)
class Edge:
    """What a listener needs: address and TLS context of each node, who comes, how many at once."""

    addresses: Mapping[str, str]
    contexts: Mapping[str, ssl.SSLContext]
    identify: Callable[[bytes], Peer]
    limits: ListenerLimits
    census: Census


class ProgramDoors:
    """All doors of one process; made by `open_program_doors`."""

    def __init__(self, nodes: tuple[str, ...], at: Mapping[str, str], doors: dict[str, TlsDoor], news: Any) -> None:
        self._nodes, self._at, self._doors, self._news = nodes, at, doors, news

    def told(self) -> dict[str, Any]:
        """What programs must know: nodes by id, where their doors are, the node of each application."""
        doors = {node: [door.address, door.port] for node, door in self._doors.items()}
        return {"nodes": list(self._nodes), "doors": doors, "applications": dict(self._at)}

    def drop(self, which: Callable[[Peer], bool]) -> int:
        """Close the connections of these peers; says how many."""
        return sum(door.drop(which) for door in self._doors.values())

    async def close(self) -> None:
        """Hang up on all hosts."""
        for door in self._doors.values():
            await door.close()
        self._news.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._news


async def open_program_doors(
    gate: Gate,
    network: NetworkFile,
    memories: Mapping[str, int],
    attachments: Mapping[str, Attachment],
    edge: Edge,
    speed: float,
) -> ProgramDoors:
    """Claim `memories` at each node and open its door for the applications attached there. Problem `no-memory`."""
    nodes = tuple(node for node in network.nodes if memories.get(node) and node in edge.addresses)
    processors, exchange = build(
        gate, network, nodes, attachments, PATIENCE_NS, lambda seconds: asyncio.sleep(seconds / speed)
    )
    at = {sae: attachment.node for sae, attachment in attachments.items()}
    leave = Leave(nodes, attachments)
    news = asyncio.get_running_loop().create_task(follow(gate, processors, exchange))
    doors: dict[str, TlsDoor] = {}
    opened = ProgramDoors(nodes, {sae: node for sae, node in at.items() if node in nodes}, doors, news)
    try:
        for node in nodes:
            await processors[node].claim(memories[node])
            attached = [sae for sae, where in at.items() if where == node]
            doors[node] = await open_door(
                NodeServer(_executor(processors[node], nodes), RealPace(), exchange, leave=leave.need),
                edge.addresses[node], 0, edge.contexts[node],
                identify=edge.identify, attached=attached, limits=edge.limits, census=edge.census,
            )  # fmt: skip
    except BaseException:
        await opened.close()
        raise
    return opened


def _executor(processor: TwinProcessor, nodes: tuple[str, ...]) -> Executor:
    return Executor(processor, nodes, patience_ns=PATIENCE_NS, most_instructions=MOST_INSTRUCTIONS)


class Leave:
    """Who may share anything with whom: as for keys, each must let the other in, and one that is not routable is
    unknown beyond its domain."""

    def __init__(self, nodes: tuple[str, ...], attachments: Mapping[str, Attachment]) -> None:
        self._nodes = nodes
        self._node_of = {sae: attachment.node for sae, attachment in attachments.items()}
        self.known = {
            sae: frozenset(other.sae for other in attachments.values() if _let_in(own, other))
            for sae, own in attachments.items()
        }

    def need(self, sae: str, number: int) -> None:
        """Pairs with the node of this id: `Fault` if nobody there may share them with the application."""
        node = self._nodes[number] if 0 <= number < len(self._nodes) else f"{number}"
        if all(self._node_of[other] != node for other in self.known.get(sae, ())):
            raise Fault(Code.REJECTED, f"{sae} may share pairs with nobody at node {node}")


def _let_in(one: Attachment, other: Attachment) -> bool:
    if one.domain != other.domain and not (one.routable and other.routable):
        return False
    try:
        need_leave(one, other)
    except Problem:
        return False
    return True


def build(
    gate: Gate,
    network: NetworkFile,
    nodes: tuple[str, ...],
    attachments: Mapping[str, Attachment],
    patience_ns: int,
    sleep: Any,
) -> tuple[dict[str, TwinProcessor], TwinExchange]:
    """Each node's processor, without memories yet, and the exchange of text between their applications. `sleep`: on the
    twin's clock, seconds."""
    reach = _reach(network)
    at = {sae: attachment.node for sae, attachment in attachments.items() if attachment.node in nodes}
    exchange = TwinExchange(gate, at, Leave(nodes, attachments).known, patience_ns, sleep)
    processors = {}
    for node in nodes:
        peers = [other for other in nodes if other != node and reach.get(other) == reach.get(node, "")]
        processors[node] = TwinProcessor(gate, node, peers, sleep)
    return processors, exchange


def _reach(network: NetworkFile) -> dict[str, str]:
    """The part of the network that each node with pair links belongs to, by the name of one of its nodes."""
    part = {node: node for link in network.pair_links for node in link.between}
    for link in network.pair_links:
        a, b = (part[node] for node in link.between)
        part = {node: a if of == b else of for node, of in part.items()}
    return part
