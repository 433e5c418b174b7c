"""What stories of shared states have in common: a network in virtual time, and what an oracle sees of its states."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quoit.adapters.stores.memory import MemoryStore
from quoit.engine.entangler import Entangler
from quoit.engine.world import Depolarise
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.sdk import Application, Unit, VirtualNetwork
from quoit.service.scheduler import Scheduler

BOSTON = Path(__file__).parents[1] / "examples" / "boston.yaml"
S = 10**9


def network(text: str, seed: int = 1, root: bytes | None = None) -> VirtualNetwork:
    net = VirtualNetwork(assemble(loads(text), Parts(lambda kme: MemoryStore(), seed, root)))
    net.run_for(0.5)
    return net


def events_of(net: VirtualNetwork) -> list[Any]:
    found: list[Any] = []
    net.twin.kernel.sinks.append(found.append)
    return found


def edit_world(net: VirtualNetwork, edit: Message) -> None:
    """As fate does: nobody is told."""
    net.twin.kernel.ask_from_outside(net.now_ns, "engine", edit, lambda _: None)


def depolarise(net: VirtualNetwork, link: str, fraction: float) -> None:
    edit_world(net, Depolarise(link, fraction))


def entangler(net: VirtualNetwork) -> Entangler:
    return next(e for e in net.twin.kernel.elements if isinstance(e, Entangler))


def scheduler(net: VirtualNetwork) -> Scheduler:
    return next(e for e in net.twin.kernel.elements if isinstance(e, Scheduler))


def play(*programs: Awaitable[Any]) -> list[Any]:
    async def together() -> list[Any]:
        return list(await asyncio.gather(*programs))

    return asyncio.run(together())


def slots(unit: Unit) -> list[tuple[str, int]]:
    return [(a.rpartition("/")[0], int(a.rpartition("/")[2])) for a in unit.addresses]


async def settled(app: Application, unit: Unit) -> Unit:
    """The unit when it is no longer being made."""
    while unit.state in ("requested", "routed"):
        await app.sleep(0.05)
        unit = await app.unit(unit.unit_id)
    return unit


Array = NDArray[np.complex128]


def ghz(parties: int) -> Array:
    found = np.zeros(2**parties, dtype=complex)
    found[[0, -1]] = 2**-0.5
    return found


def w_state(parties: int) -> Array:
    found = np.zeros(2**parties, dtype=complex)
    found[[1 << k for k in range(parties)]] = parties**-0.5
    return found


def graph_state(parties: int, edges: Sequence[tuple[int, int]]) -> Array:
    """Qubit k is that of the k-th unit given to `truths`."""
    found = np.full(2**parties, 2 ** (-parties / 2), dtype=complex)
    for row in range(2**parties):
        bits = [row >> parties - 1 - k & 1 for k in range(parties)]
        found[row] *= (-1) ** sum(bits[a] * bits[b] for a, b in edges)
    return found


def truths(net: VirtualNetwork, units: Sequence[Unit], target: Array) -> list[float]:
    """True fidelity of each state of a unit, of which all parties' views are given, now."""
    found = []
    for places in zip(*map(slots, units), strict=True):
        seen = entangler(net).ledger.observe(places[0], net.now_ns)
        assert seen.matrix is not None
        n = len(seen.slots)
        assert set(seen.slots) == set(places)
        order = [seen.slots.index(place) for place in places]
        rho = seen.matrix.reshape((2,) * (2 * n)).transpose([*order, *(n + o for o in order)]).reshape(2**n, 2**n)
        found.append(float(np.real(target.conj() @ rho @ target)))
    return found
