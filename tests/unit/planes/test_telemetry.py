"""Meters that are switched, windows of simulated time, thresholds with two levels."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.planes.management import AlarmBook, Severity
from quoit.planes.telemetry import (
    MOST_SAMPLES,
    MeterBoard,
    MeterSwitched,
    TelemetryPlan,
    Threshold,
    ThresholdCrossed,
    Window,
    WindowClosed,
    note_crossing,
    percentile,
)
from quoit.runtime.element import Stratum
from quoit.runtime.instruments import Instruments
from quoit.runtime.wire import Message

QBER = "quoit_link_qber"
S = 1_000_000_000


class Bench:
    """A context that keeps what is said to it, and a clock that is turned by hand."""

    def __init__(self, *thresholds: Threshold) -> None:
        self.now = 0
        self.news: list[Message] = []
        self.instruments = Instruments()
        self.board = MeterBoard(Stratum.FABRIC, [QBER], TelemetryPlan(10 * S, thresholds))
        self.alarms = AlarmBook(Stratum.FABRIC)

    def publish(self, subject: str, msg: Message) -> None:
        self.news.append(msg)
        if isinstance(msg, ThresholdCrossed):
            note_crossing(self.alarms, self, msg)  # type: ignore[arg-type]

    def emit(self, event: str, /, **fields: Any) -> None: ...

    def gauge(self, metric: str, labels: tuple[str, ...], value: float) -> None:
        self.instruments.gauge(metric, labels, value)

    def forget(self, metric: str, labels: tuple[str, ...]) -> None:
        self.instruments.forget(metric, labels)

    def read(self, at_s: float, value: float, link: str = "a") -> None:
        self.now = int(at_s * S)
        self.board.read(self, QBER, link, value)  # type: ignore[arg-type]

    def start(self, link: str = "a") -> None:
        self.board.start(self, link)  # type: ignore[arg-type]

    def stop(self, link: str = "a") -> None:
        self.board.stop(self, link)  # type: ignore[arg-type]

    @property
    def standing(self) -> list[tuple[str, str]]:
        return [(a.about, a.severity) for a in self.alarms.standing.alarms]


def test_a_meter_that_is_off_keeps_nothing_and_its_series_end() -> None:
    bench = Bench(Threshold(QBER, 0.05, 0.03))
    bench.read(1, 0.2)
    assert (bench.board.meters().meters, bench.standing) == ((), [])
    bench.start()
    bench.read(2, 0.2)
    assert list(bench.instruments.read(QBER)) == [(("a",), 0.2)]
    assert bench.standing == [("a", "minor")]
    bench.stop()
    assert list(bench.instruments.read(QBER)) == []
    assert (bench.board.meters().meters, bench.standing) == ((), [])
    switched = [msg.on for msg in bench.news if isinstance(msg, MeterSwitched)]
    assert switched == [True, False]
    bench.stop()
    assert len(switched) == 2


def test_a_trembling_value_makes_one_alarm() -> None:
    bench = Bench(Threshold(QBER, 0.05, 0.03))
    bench.start()
    for i in range(20):
        bench.read(i / 10, 0.05 if i % 2 else 0.04)
    assert sum(isinstance(msg, ThresholdCrossed) for msg in bench.news) == 1
    bench.read(3, 0.03)
    assert bench.standing == []
    (row,) = bench.board.meters().meters
    assert (row.unit, row.value, row.at_ns) == ("1", 0.03, 3 * S)


def test_the_most_severe_threshold_counts_and_gives_way() -> None:
    bench = Bench(Threshold(QBER, 0.05, 0.03), Threshold(QBER, 0.10, 0.08, Severity.CRITICAL))
    bench.start()
    for at, value, wanted in ((1, 0.06, "minor"), (2, 0.2, "critical"), (3, 0.07, "minor"), (4, 0.01, None)):
        bench.read(at, value)
        assert bench.standing == ([("a", wanted)] if wanted else [])


def test_too_little_is_a_threshold_too_and_others_are_left_alone() -> None:
    bench = Bench(Threshold(QBER, 0.01, 0.02, resources=frozenset({"b"})))
    for link in ("a", "b"):
        bench.start(link)
        bench.read(1, 0.005, link)
    assert bench.standing == [("b", "minor")]


def test_windows_follow_one_another_and_thresholds_may_look_at_them() -> None:
    bench = Bench(Threshold(QBER, 0.05, 0.03, statistic="mean"))
    bench.start()
    for at in range(10):
        bench.read(at, 0.04 + 0.004 * at)
    assert bench.standing == []
    bench.read(35, 0.01)  # no reading between 10 and 30: those windows were empty
    (closed,) = [msg.window for msg in bench.news if isinstance(msg, WindowClosed)]
    assert (closed.begin_ns, closed.end_ns, closed.number) == (0, 10 * S, 10)
    assert (closed.least, closed.most) == (0.04, pytest.approx(0.076))
    assert (closed.mean, closed.p50) == (pytest.approx(0.058), pytest.approx(0.06))
    assert bench.standing == [("a", "minor")]
    (row,) = bench.board.meters().meters
    assert row.window == closed
    assert row.under_way is not None
    assert (row.under_way.begin_ns, row.under_way.number) == (30 * S, 1)
    bench.read(41, 0.01)
    assert bench.standing == []


@pytest.mark.parametrize("levels", [(0.05, 0.05), (0.0, 0.0)])
def test_one_level_is_not_enough(levels: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="two levels"):
        Threshold(QBER, *levels)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3 * MOST_SAMPLES))
def test_figures_of_a_window_are_in_order_and_exact_where_they_say_so(values: list[float]) -> None:
    window = Window(0, 1)
    for value in values:
        window.add(value)
    stats = window.stats()
    assert stats is not None
    assert (stats.number, stats.least, stats.most) == (len(values), min(values), max(values))
    assert stats.least <= stats.p50 <= stats.p95 <= stats.most
    assert stats.least <= stats.mean <= stats.most
    if len(values) <= MOST_SAMPLES:
        assert stats.p95 == percentile(sorted(values), 0.95)


def test_memory_of_a_window_is_bounded() -> None:
    window = Window(0, 1)
    for i in range(100_000):
        window.add(i)
    assert len(window._kept) <= MOST_SAMPLES
    stats = window.stats()
    assert stats is not None
    assert stats.p95 == pytest.approx(95_000, rel=0.01)  # every 128th reading is left
