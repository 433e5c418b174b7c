"""B1: a bus that delays, overtakes, repeats and replays changes nothing of a twin in three processes.

The three kernels run in step in this process. The bus between them may do all of that, as long as a frame is
there before it is due; a frame that is lost is noticed instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.adapters.stores.memory import MemoryStore
from quoit.runtime.inbox import Frame, Inbox
from quoit.runtime.kernel import Kernel
from quoit.runtime.trace import Event, digest_of
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.spread import Spread

NETWORK = """
quoit: 1
name: three
policies: {control_latency: 20ms, stream_low: 4 kbit, stream_high: 8 kbit, pool_reopen: 2 kbit}
nodes: {a: {}, b: {}, c: {}}
spans: [{between: [a, b], length: 10 km}, {between: [b, c], length: 5 km}]
links:
  - {between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {between: [b, c], protocol: rated, rate: 20 kbit/s}
applications: [{sae: x, kme: kme-a}, {sae: y, kme: kme-c}]
events:
  - {at: 3s, load: {from: x, to: y, rate: 2 kbit/s}}
  - {at: 4s, until: 6s, cut: b--c}
"""
S = 1_000_000_000
END = 8 * S
Packet = tuple[int, int, int, bytes]
Receive = Callable[[int, int, Frame], None]


@dataclass
class FaultyBus:
    """Holds frames back and plays with them. Each sender numbers its frames to each receiver, as NATS's does."""

    fate: Random
    receive: list[Receive] = field(default_factory=list)
    waiting: list[tuple[int, Packet]] = field(default_factory=list)
    passed: list[Packet] = field(default_factory=list)
    sent: dict[tuple[int, int], int] = field(default_factory=dict)

    def put(self, source: int, to: int, frame: Frame) -> None:
        number = self.sent[source, to] = self.sent.get((source, to), 0) + 1
        self.waiting.append((frame[0], (source, to, number, msgspec.msgpack.encode(frame))))

    def deliver(self, until: int) -> None:
        """All that is due by `until`, some that is not, and much of it more than once."""
        self.fate.shuffle(self.waiting)
        now = [p for due, p in self.waiting if due <= until or self.fate.random() < 0.3]
        self.waiting = [(due, p) for due, p in self.waiting if p not in now]
        again = self.fate.choices(now + self.passed[-200:], k=self.fate.randrange(4)) if now or self.passed else []
        for source, to, number, data in now + again:
            self.receive[to](source, number, tuple(msgspec.msgpack.decode(data)))
        self.passed += now

    def next_due(self) -> list[int]:
        return [due for due, _ in self.waiting]


class Place:
    """One process's end of the bus. A `Post`."""

    def __init__(self, bus: FaultyBus, process: int) -> None:
        self._bus, self._process = bus, process

    def send(self, process: int, frame: Frame) -> None:
        self._bus.put(self._process, process, frame)


def twin() -> tuple[Kernel, list[Event]]:
    kernel = assemble(loads(NETWORK), Parts(lambda kme: MemoryStore())).kernel
    events: list[Event] = []
    kernel.sinks.append(events.append)
    return kernel, events


@pytest.fixture(scope="module")
def alone() -> str:
    """The digest of the same twin in one process, without a bus."""
    kernel, events = twin()
    world = VirtualWorld(kernel)
    world.begin()
    world.run_until(END)
    assert {"key.moved", "keys.opened", "keys.taken", "link.dark", "link.lit"} <= {e.event for e in events}
    return digest_of([e for e in events if e.t < END])


def spread(fate: Random, once: bool = True) -> tuple[str, int]:
    """The digest of three kernels with the bus between them, and how many frames came again."""
    bus = FaultyBus(fate)
    all_events: list[Event] = []
    kernels: list[Kernel] = []
    inboxes: list[Inbox] = []
    share = Spread(loads(NETWORK), 3)
    for process in range(3):
        kernel, _ = twin()
        here = {e.name for e in kernel.elements if share(e) == process}
        kernel.sinks[:] = [lambda e, here=here: all_events.append(e) if e.by in here else None]  # type: ignore[misc]
        kernel.start()
        kernel.split(share, process, Place(bus, process))
        inbox = Inbox(kernel.receive, _never)
        inboxes.append(inbox)
        kernels.append(kernel)
        bus.receive.append(inbox.take if once else lambda source, number, frame, k=kernel: k.receive(frame))  # type: ignore[misc]
    while True:
        bus.deliver(-1)
        due = min([k.next_due for k in kernels if k.next_due is not None] + bus.next_due(), default=END)
        if due >= END:
            break
        bus.deliver(due)
        for kernel in kernels:
            kernel.run(due)
    assert not any(k.disorder for k in kernels) or not once
    return digest_of(all_events), sum(inbox.duplicates for inbox in inboxes)


def _never(source: int, number: int) -> None:
    raise AssertionError(f"frame {number} of process {source} counted as lost")


@pytest.mark.realises("F3", "G3")
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_b1_duplicates_delays_and_replays_change_no_event(alone: str, seed: int) -> None:
    digest, duplicates = spread(Random(seed))
    assert digest == alone
    assert duplicates > 100


def test_without_an_inbox_they_would(alone: str) -> None:
    """A repeated frame has the same place in the order as the first one, or changes what follows."""
    with pytest.raises((TypeError, AssertionError)):
        assert spread(Random(1), once=False)[0] == alone
