"""The monitoring element: percentiles of answers against what was agreed."""

from __future__ import annotations

import pytest

from quoit.planes.telemetry import percentile
from quoit.runtime.kernel import Kernel
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.service.agreements import SessionServed, WatchSession, monitor
from quoit.service.api import OpenSession
from quoit.service.monitor import ANSWERS, LEAST, ServiceMonitor

MS = 1_000_000


class Watched:
    def __init__(self, **agreed: int) -> None:
        self.events: list[Event] = []
        kernel = Kernel([ServiceMonitor("here", "d")])
        kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(kernel)
        self.world.begin()
        self.tell(WatchSession("s", OpenSession("a", "b", "s", 1.0, **agreed)))

    def tell(self, msg: object) -> None:
        kernel = self.world.kernel
        kernel.ask_from_outside(kernel.now, monitor("d"), msg, lambda reply: None)
        self.world.run_until(kernel.now + MS)

    def served(self, took_ms: float, times: int) -> None:
        for _ in range(times):
            self.tell(SessionServed("s", 256, int(took_ms * MS)))

    @property
    def said(self) -> list[tuple[bool, str]]:
        return [(e.fields["kept"], e.fields["text"]) for e in self.events if e.event == "session.quality"]


def test_latency_is_judged_at_the_95th_percentile_and_recovers() -> None:
    watched = Watched(max_latency_ns=10 * MS)
    watched.served(2, LEAST)
    watched.served(50, 1)  # one of 21 is below 5 %
    assert watched.said == []
    watched.served(50, 1)
    assert watched.said == [(False, "latency: 50.0 ms at the 95th percentile, 10.0 ms agreed")]
    watched.served(2, ANSWERS)
    assert watched.said[1:] == [(True, "as agreed again")]


def test_jitter_is_the_spread_between_percentiles() -> None:
    watched = Watched(max_jitter_ns=3 * MS)
    for took in (2, 4) * LEAST:
        watched.served(took, 1)
    assert watched.said == []
    for took in (2, 8) * LEAST:
        watched.served(took, 1)
    assert watched.said == [(False, "jitter: 6.0 ms, 3.0 ms agreed")]
    watched.tell(WatchSession("s", None))
    assert watched.said[1:] == [(True, "the session is over")]


def test_a_few_answers_say_nothing_and_strangers_are_not_counted() -> None:
    watched = Watched(max_latency_ns=1)
    watched.served(100, LEAST - 1)
    watched.tell(SessionServed("other", 1, 10**12))
    assert watched.said == []


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 3), (0.95, 5), (1.0, 5)])
def test_percentiles_are_values_that_occurred(share: float, expected: int) -> None:
    assert percentile([1, 2, 3, 4, 5], share) == expected
