"""A network in virtual time with a client of the link and network services at each node, for stories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quoit.adapters.stores.memory import MemoryStore
from quoit.engine.entangler import Entangler
from quoit.fabric.api import (
    CreatePairs,
    GetMemories,
    MadePair,
    PairsFailed,
    PairsMade,
    ReceivePairs,
    link_service,
    memory,
)
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Latency, Parts, assemble
from quoit.scenario.check import loads

BOSTON = (Path(__file__).parents[2] / "examples" / "boston.yaml").read_text(encoding="utf-8")
MS, S = 10**6, 10**9
BELLS = ("phi+", "phi-", "psi+", "psi-")


class Client(Element):
    """Hears what a service tells and keeps it with the instant; `truths`: what the engine knows of each kept pair when
    the client hears, beside what it is told."""

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE

    def __init__(self, node: str, entangler: Entangler) -> None:
        super().__init__(f"client:{node}", node)
        self._entangler = entangler
        self.made: list[tuple[int, PairsMade]] = []
        self.failed: list[tuple[int, PairsFailed]] = []
        self.truths: list[tuple[float, MadePair]] = []

    @handles(PairsMade)
    async def on_made(self, ctx: Context, msg: PairsMade) -> None:
        self.made.append((ctx.now, msg))
        for pair in msg.pairs if msg.kind == "K" else ():
            assert pair.slot is not None
            seen = self._entangler.ledger.observe((self.place, pair.slot), ctx.now)
            # the creator's end notes the Pauli that makes the Bell state before its own client hears
            states = {pair.bell} if msg.origin == self.place else {pair.bell, "phi+"}
            fits = [seen.fidelity(BELLS.index(state)) for state in states] if len(seen.slots) == 2 else [0.0]
            self.truths.append((max(fits), pair))

    @handles(PairsFailed)
    async def on_failed(self, ctx: Context, msg: PairsFailed) -> None:
        self.failed.append((ctx.now, msg))

    @property
    def expired(self) -> set[int]:
        """Sequence numbers that it was told are of no use."""
        ranges = [(err.low, err.high) for _, err in self.failed if err.code == "EXPIRE"]
        return {n % 2**16 for low, high in ranges for n in range(low, low + (high - low) % 2**16)}

    @property
    def pairs(self) -> list[MadePair]:
        """All that it was told of."""
        return [pair for _, news in self.made for pair in news.pairs]


class PairStage:
    """The network, its clients by node, and the event log."""

    def __init__(self, text: str = BOSTON, seed: int = 1) -> None:
        network = loads(text)
        twin = assemble(network, Parts(lambda kme: MemoryStore(), seed))
        self.entangler = next(e for e in twin.kernel.elements if isinstance(e, Entangler))
        nodes = [name for name, node in network.nodes.items() if node.memories is not None]
        self.at = {node: Client(node, self.entangler) for node in nodes}
        elements = [*twin.kernel.elements, *self.at.values()]
        self.kernel = Kernel(elements, seed=twin.kernel.seed, latency=Latency(network))
        self.events: list[Any] = []
        self.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(self.kernel)
        self.world.begin()
        self.run(0.1)

    def run(self, seconds: float) -> None:
        self.world.run_until(self.kernel.now + round(seconds * S))

    def ask(self, to: str, msg: Any) -> Any:
        return self.world.ask(to, msg)

    def receive(self, node: str, remote: str, purpose: int = 0, client: str | None = None) -> None:
        self.ask(link_service(node), ReceivePairs(f"client:{client or node}", remote, purpose))

    def create(self, node: str, remote: str, **more: Any) -> int:
        """Its create id."""
        return int(self.ask(link_service(node), CreatePairs(f"client:{node}", remote, **more)).create_id)

    def free(self, node: str) -> list[int]:
        """Memories that nobody keeps."""
        return [row.slot for row in self.ask(memory(node), GetMemories()).rows if not row.holder]

    def events_of(self, name: str, **fields: Any) -> list[Any]:
        """Entries of the event log of that name, with these fields."""
        return [e for e in self.events if e.event == name and fields.items() <= e.fields.items()]
