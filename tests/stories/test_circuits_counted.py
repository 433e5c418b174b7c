"""What happens on the way of a circuit, pairs that expire there too, comes to the agent at its head when it is due."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from quoit.engine.api import CircuitCounted
from quoit.engine.entangler import COUNT_NS, Entangler
from quoit.fabric.memory import MemoryAgent
from quoit.runtime.context import Context
from shared_states import network

BOSTON = (Path(__file__).parents[2] / "examples" / "boston.yaml").read_text(encoding="utf-8")
DIRECT = "  - {between: [harvard, mit], success: 0.004, fidelity: 0.97}\n"


@pytest.mark.realises("F3", "F4")
def test_expired_chains_and_counters_come_when_they_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swaps at bu with a short cut-off, of links that take long: many qubits expire there. Nothing is told before its
    time, nothing twice, and the sums are those of the pair machine."""
    heard: list[tuple[int, CircuitCounted]] = []
    taken = MemoryAgent.on_counted

    async def hear(self: MemoryAgent, ctx: Context, msg: CircuitCounted) -> None:
        heard.append((ctx.now, msg))
        await taken(self, ctx, msg)

    monkeypatch.setitem(MemoryAgent.handlers, CircuitCounted, hear)
    net = network(BOSTON.replace(DIRECT, "").replace("hardware: siv-boston-2024", "t1: 1 s, t2: 300 ms"))
    machines: list[Any] = []
    engine = next(e for e in net.twin.kernel.elements if isinstance(e, Entangler))
    installed = engine._new

    def remember(ctx: Context, msg: Any) -> None:
        installed(ctx, msg)
        machines.append(engine._circuits[msg.circuit].machine)

    monkeypatch.setattr(engine, "_new", remember)
    alice = net.application("alice")

    async def story() -> None:
        for _ in range(12):
            unit = await alice.request(["bob"], fidelity=0.85)
            assert unit.state == "established"
            await alice.close_unit(unit.unit_id)
            await alice.sleep(0.05)

    asyncio.run(story())
    assert heard
    assert all(at_ns >= news.at_ns for at_ns, news in heard)
    counts = [machine.counts(0) for machine in machines]
    for name in ("heralds", "expired"):
        assert sum(getattr(news, name) for _, news in heard) == sum(getattr(c, name) for c in counts)
    assert sum(news.swaps for _, news in heard) == sum(c.swaps - c.swap_failures for c in counts) >= 12
    assert sum(c.expired for c in counts) > 0
    by_circuit: dict[str, list[int]] = {}
    for _, news in heard:
        by_circuit.setdefault(news.circuit, []).append(news.at_ns)
    for instants in by_circuit.values():  # the last one when it is closed
        assert all(b - a >= COUNT_NS for a, b in pairwise(instants[:-1]))
