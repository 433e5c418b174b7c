"""Where else a quantum channel could be: other wavelengths, other paths. Pure search over an inventory (E3).

Not all paths are tried: the one that it has, the least lossy one without its spans and what shares risk with them, and
the least lossy ones without each of its spans. Paths with stretches of air are left out, unless it is the one it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from quoit.connectivity.api import OFF, QUANTUM, ChannelRow, InventoryRows, SpanPlan
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot
from quoit.planes.graph import Graph


@dataclass(frozen=True)
class Place:
    """A path and a centre frequency for a channel."""

    spans: tuple[str, ...]
    centre_mhz: int


@dataclass(frozen=True)
class Guards:
    """Spectrum to keep between channels of one kind, and between a quantum and a classical one, MHz."""

    same_mhz: int = 0
    quantum_mhz: int = 100_000


class Places:
    """The places of one channel of an inventory. Problem `no-such-element` if the channel is not in it."""

    def __init__(self, inventory: InventoryRows, channel: str, guards: Guards) -> None:
        found = next((row for row in inventory.channels if row.channel == channel), None)
        if found is None:
            raise Problem("no-such-element", f"expected a channel of this plant, found {channel!r}", channel=channel)
        self.channel: ChannelRow = found
        self._quantum = found.kind == QUANTUM
        self._inventory = inventory
        self._guards = guards
        self._spans = {span.span: span for span in inventory.spans}
        self._switched = {row.node for row in inventory.nodes if row.kind != "patch-panel"}
        self._graph = Graph((span.span, span.a, span.b) for span in inventory.spans)

    @property
    def sink(self) -> str:
        """The node at which the channel ends."""
        return self._nodes(self.channel.spans)[-1]

    @property
    def blocked(self) -> bool:
        """Whether a switch on the way is meant to let nothing through."""
        wanted = {node for node in self._nodes(self.channel.spans) if node in self._switched}
        joined = {joint.node for joint in self._inventory.cross_connects if joint.channel == self.channel.channel}
        return not wanted <= joined

    @property
    def airy(self) -> bool:
        """Whether a stretch of the channel's path is air."""
        return any(self._spans[name].medium != "fibre" for name in self.channel.spans)

    def _nodes(self, spans: Iterable[str]) -> list[str]:
        nodes = [self.channel.source]
        for name in spans:
            span = self._spans[name]
            nodes.append(span.b if nodes[-1] == span.a else span.a)
        return nodes

    def paths(self, avoid: frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
        """Paths for the channel without the spans `avoid`, its own first, each once."""
        seen: set[tuple[str, ...]] = set()
        for path in self._paths(avoid):
            if path not in seen:
                seen.add(path)
                yield path

    def _paths(self, avoid: frozenset[str]) -> Iterator[tuple[str, ...]]:
        own = self.channel.spans
        if avoid.isdisjoint(own):
            yield own
        for without in (self._at_risk_with(own), *({span} for span in own)):
            cost = partial(self._cost, without=avoid | without)
            found = self._graph.route(self.channel.source, self.sink, cost)
            if found is not None:
                yield found[1]

    def _at_risk_with(self, spans: tuple[str, ...]) -> set[str]:
        risks = {risk for name in spans for risk in self._spans[name].risks}
        return {span.span for span in self._spans.values() if span.span in spans or not risks.isdisjoint(span.risks)}

    def _cost(self, name: str, without: frozenset[str]) -> float | None:
        span: SpanPlan = self._spans[name]
        usable = name not in without and span.medium == "fibre" and not (span.amplified and self._quantum)
        return span.loss_db if usable else None

    def free(self, wavelengths_mhz: Iterable[int], avoid: frozenset[str] = frozenset()) -> Iterator[Place]:
        """Places at the channel's own frequency or one of these that no other channel is too near to, its own place
        first."""
        centres = dict.fromkeys((self.channel.centre_mhz, *wavelengths_mhz))
        for path in self.paths(avoid):
            for centre in centres:
                if self._is_free(path, Slot(centre, self.channel.width_mhz)):
                    yield Place(path, centre)

    def _is_free(self, path: tuple[str, ...], slot: Slot) -> bool:
        for other in self._inventory.channels:
            guard = self._guards.same_mhz
            if other.kind != QUANTUM:
                guard = max(guard, self._guards.quantum_mhz)
            unlit = other.kind == QUANTUM and other.state == OFF
            beside = not unlit and other.channel != self.channel.channel and not set(other.spans).isdisjoint(path)
            if beside and slot.overlaps(Slot(other.centre_mhz, other.width_mhz), guard):
                return False
        return True
