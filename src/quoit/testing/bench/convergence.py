"""Convergence after a failure: how long sessions are without their routes when the busiest fibre is cut.

A large example network runs in virtual time until its links make key; then as many sessions as fit reserve a route
each between random nodes, and the span that most of them use is cut. Simulated time runs from the cut to the last
relay that was written for a session that found another way; processor time is what those simulated seconds cost more
than as many quiet ones before. Sessions that no other way would carry are counted apart.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric import api as fabric
from quoit.fabric.api import ReservedFlows, ReserveFlows
from quoit.model.problem import Problem
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import load
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.schema import NetworkFile

NETWORKS = ("germany50", "geant2012")
RATE_BPS = 1.0
WARM_S, WINDOW_S = 120, 5
S = 1_000_000_000

Figure = tuple[str, float, str, float | None, bool | None]


def figures(sessions: int) -> Iterator[Figure]:
    """`sessions` asked for in each network."""
    for name in NETWORKS:
        yield from _one(name, sessions)


def _one(name: str, sessions: int) -> Iterator[Figure]:
    twin = assemble(load(Path("examples") / f"{name}.yaml"), Parts(lambda kme: MemoryStore()))
    events: list[Event] = []
    twin.kernel.sinks.append(events.append)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(WARM_S * S)
    routes = _reserve(world, sorted(twin.network.nodes), sessions)
    used = Counter(link for links in routes.values() for link in links)
    cut = _span_under(twin.network, used.most_common(1)[0][0])
    quiet_s = _run(world)
    began = world.kernel.now
    world.kernel.ask_from_outside(began, FATE, Strike("cut", cut), lambda reply: None)
    busy_s = _run(world)
    moved = [e for e in events if e.event == "session.moved" and e.t > began]
    lost = sum(not e.fields["flows"] for e in moved)
    last_ms = (max((e.t for e in moved), default=began) - began) / 1e6
    yield f"convergence {name}: sessions moved", len(moved) - lost, f"of {len(routes)}", None, None
    yield f"convergence {name}: no other way", lost, "sessions", None, None
    yield f"convergence {name}: last route written", round(last_ms, 1), "ms simulated", 1000.0, last_ms <= 1000
    yield f"convergence {name}: processor", round(max(0.0, busy_s - quiet_s), 3), "CPU s", None, None


def _reserve(world: VirtualWorld, nodes: list[str], sessions: int) -> dict[str, tuple[str, ...]]:
    """The links of each session that got a route."""
    drawn, routes = random.Random(5), dict[str, tuple[str, ...]]()
    for number in range(sessions):
        src, dst = drawn.sample(nodes, 2)
        try:
            found: ReservedFlows = world.ask(fabric.CONTROLLER, ReserveFlows(f"s{number}", src, dst, RATE_BPS))
        except Problem:
            continue
        routes[f"s{number}"] = found.flows[0].links
    return routes


def _span_under(network: NetworkFile, link: str) -> str:
    """A fibre that this link needs."""
    found = next(one for one in network.links if one.id == link)
    if found.spans:
        return str(found.spans[0])
    between = set(found.between)
    return str(next(span.id for span in network.spans if set(span.between) == between))


def _run(world: VirtualWorld) -> float:
    """Processor seconds of the next simulated `WINDOW_S`."""
    began = time.process_time()
    world.run_until(world.kernel.now + WINDOW_S * S)
    return time.process_time() - began
