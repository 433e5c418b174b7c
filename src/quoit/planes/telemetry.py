"""What the telemetry planes of all strata share: meters that control switches on, windows, thresholds (G1).

A meter belongs to one resource of its stratum: a span, a link, a session. Control starts it when the resource comes
into use and stops it when it does not need it any more; a meter that is off keeps nothing, and its series end. Readings
are kept in windows of *simulated* time that follow one another without a gap (least, mean, most, percentiles), and are
compared with thresholds that have one level to raise at and another one to clear at, so that a value that trembles
about a level makes one alarm and not many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from quoit.model.metric import METRICS
from quoit.planes.management import AlarmBook, Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum
from quoit.runtime.wire import Message, message

TELEMETRY_NEWS = "telemetry"
"""Subjects are `telemetry.<stratum>.<what>`; what: switched, window, threshold."""
READING = "reading"
STATISTICS = (READING, "least", "mean", "most", "p50", "p95")
"""What of a meter a threshold may look at: each reading, or a figure of each whole window."""
MOST_SAMPLES = 1024
"""Readings that percentiles of one window are taken of. Of more, every second one is kept, then every fourth..."""
N = TypeVar("N", int, float)
_RANK = {severity: rank for rank, severity in enumerate(reversed(Severity), 1)}


@message("planes.StartMeter")
class StartMeter(Message):
    """Control to the meters of its stratum: this resource is in use from now on."""

    resource: str


@message("planes.StopMeter")
class StopMeter(Message):
    """Control to the meters of its stratum: this resource is not in use any more."""

    resource: str


@message("planes.MeterSwitched")
class MeterSwitched(Message):
    """News: a meter was switched on or off."""

    stratum: str
    resource: str
    on: bool
    at_ns: int


class WindowStats(Message):
    """Readings of `begin_ns` up to `end_ns`: `number` of them; percentiles by nearest rank."""

    begin_ns: int
    end_ns: int
    number: int
    least: float
    mean: float
    most: float
    p50: float
    p95: float


@message("planes.WindowClosed")
class WindowClosed(Message):
    """News: a window is whole. Told with the first reading after its end."""

    stratum: str
    metric: str
    resource: str
    window: WindowStats


@message("planes.ThresholdCrossed")
class ThresholdCrossed(Message):
    """News: a value has gone past a threshold (`severity`: that of the most severe one) or come back from all of them
    (`severity` None). `level`: the threshold's."""

    stratum: str
    metric: str
    resource: str
    severity: str | None
    value: float
    level: float
    statistic: str
    at_ns: int


@message("planes.GetMeters")
class GetMeters(Message):
    """Which meters are on, and what do they say? Answered with `Meters`."""


class MeterRow(Message):
    """One series of a meter that is on. `value` None: no reading yet. `window`: the last whole one that has readings;
    `under_way`: the one of now."""

    stratum: str
    metric: str
    unit: str
    resource: str
    on_since_ns: int
    value: float | None
    at_ns: int | None
    window: WindowStats | None
    under_way: WindowStats | None


@message("planes.Meters")
class Meters(Message):
    meters: tuple[MeterRow, ...]


@dataclass(frozen=True)
class Threshold:
    """`raise_at` above `clear_at`: the alarm is about too much; below it: about too little. `resources` None: all."""

    metric: str
    raise_at: float
    clear_at: float
    severity: Severity = Severity.MINOR
    statistic: str = READING
    resources: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.raise_at == self.clear_at:
            raise ValueError(f"{self.metric}: expected two levels, one to raise at and one to clear at, found one")
        if self.statistic not in STATISTICS:
            raise ValueError(f"expected one of {', '.join(STATISTICS)}, found {self.statistic!r}")

    def crossed(self, value: float, was: bool) -> bool:
        """Whether the threshold counts as crossed, given whether it did before."""
        upward = self.raise_at > self.clear_at
        level = self.clear_at if was else self.raise_at
        if was:
            return value > level if upward else value < level
        return value >= level if upward else value <= level


@dataclass(frozen=True)
class TelemetryPlan:
    """Length of windows, and thresholds."""

    window_ns: int = 60_000_000_000
    thresholds: tuple[Threshold, ...] = ()

    def __post_init__(self) -> None:
        if self.window_ns <= 0:
            raise ValueError(f"expected a window longer than nothing, found {self.window_ns} ns")


def percentile(ordered: Sequence[N], share: float) -> N:
    """The value below which this share of the values lies (nearest rank). ValueError if there are none."""
    if not ordered:
        raise ValueError("expected at least one value")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Window:
    """Readings of one stretch of simulated time, in bounded memory. Least, mean and most are of all readings."""

    __slots__ = ("_kept", "_stride", "begin_ns", "end_ns", "least", "most", "number", "total")

    def __init__(self, begin_ns: int, end_ns: int) -> None:
        self.begin_ns, self.end_ns = begin_ns, end_ns
        self.number = 0
        self.total = 0.0
        self.least = self.most = 0.0
        self._kept: list[float] = []
        self._stride = 1

    def add(self, value: float) -> None:
        """Take a reading in."""
        if not self.number:
            self.least = self.most = value
        elif value < self.least:
            self.least = value
        elif value > self.most:
            self.most = value
        if self.number % self._stride == 0:
            self._kept.append(value)
            if len(self._kept) > MOST_SAMPLES:
                self._kept = self._kept[::2]
                self._stride *= 2
        self.number += 1
        self.total += value

    def stats(self) -> WindowStats | None:
        """None while there are no readings."""
        if not self.number:
            return None
        ordered = sorted(self._kept)
        # A mean of equal readings may be off by rounding.
        mean = min(max(self.total / self.number, self.least), self.most)
        p50, p95 = percentile(ordered, 0.50), percentile(ordered, 0.95)
        return WindowStats(self.begin_ns, self.end_ns, self.number, self.least, mean, self.most, p50, p95)


class _Series:
    """Readings of one metric of one resource."""

    __slots__ = ("at_ns", "crossed", "labels", "last", "severity", "value", "window")

    def __init__(self, window: Window, thresholds: int, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.value: float | None = None
        self.at_ns: int | None = None
        self.window = window
        self.last: WindowStats | None = None
        self.crossed = [False] * thresholds
        self.severity: Severity | None = None


class MeterBoard:
    """The meters of one stratum. Each metric has one label, the resource."""

    def __init__(self, stratum: Stratum, metrics: Iterable[str], plan: TelemetryPlan) -> None:
        self._stratum = str(stratum)
        self._metrics = tuple(metrics)
        self._plan = plan
        self._thresholds = {m: tuple(t for t in plan.thresholds if t.metric == m) for m in self._metrics}
        self._since: dict[str, int] = {}
        self._series: dict[tuple[str, str], _Series] = {}

    def start(self, ctx: Context, resource: str) -> bool:
        """A resource has come into use; says whether its meter was off."""
        if resource in self._since:
            return False
        self._since[resource] = ctx.now
        self._switched(ctx, resource, True)
        return True

    def stop(self, ctx: Context, resource: str) -> bool:
        """A resource is not in use any more: its series end, and what stands of its thresholds is over."""
        if self._since.pop(resource, None) is None:
            return False
        for metric in self._metrics:
            series = self._series.pop((metric, resource), None)
            if series is not None and series.severity is not None and series.value is not None:
                self._tell(ctx, metric, resource, None, series.value, None)
            ctx.forget(metric, (resource,))
        self._switched(ctx, resource, False)
        return True

    def read(self, ctx: Context, metric: str, resource: str, value: float) -> None:
        """A reading, now. One of a meter that is off is dropped."""
        now, series = ctx.now, self._series.get((metric, resource))
        if series is None:
            if resource not in self._since:
                return
            thresholds = len(self._thresholds[metric])
            series = self._series[metric, resource] = _Series(self._window_of(now), thresholds, (resource,))
        elif now >= series.window.end_ns:
            self._close(ctx, metric, resource, series)
        ctx.gauge(metric, series.labels, value)
        series.value, series.at_ns = value, now
        series.window.add(value)
        if series.crossed:
            self._compare(ctx, metric, resource, series, value, None)

    def meters(self) -> Meters:
        """All series, by metric and resource."""
        rows = []
        for (metric, resource), s in sorted(self._series.items()):
            row = METRICS[metric]
            since = self._since[resource]
            rows.append(
                MeterRow(self._stratum, metric, row.unit, resource, since, s.value, s.at_ns, s.last, s.window.stats())
            )
        return Meters(tuple(rows))

    def _window_of(self, now_ns: int) -> Window:
        """Windows begin at whole multiples of their length, so those of different meters can be compared."""
        begin_ns = now_ns - now_ns % self._plan.window_ns
        return Window(begin_ns, begin_ns + self._plan.window_ns)

    def _close(self, ctx: Context, metric: str, resource: str, series: _Series) -> None:
        stats = series.window.stats()
        series.window = self._window_of(ctx.now)
        if stats is None:
            return
        series.last = stats
        news = WindowClosed(self._stratum, metric, resource, stats)
        ctx.publish(f"{TELEMETRY_NEWS}.{self._stratum}.window", news)
        self._compare(ctx, metric, resource, series, stats.mean, stats)

    def _compare(
        self, ctx: Context, metric: str, resource: str, series: _Series, value: float, stats: WindowStats | None
    ) -> None:
        """Look at the thresholds on readings, or (`stats`) at those on windows."""
        decisive: tuple[Threshold, float] | None = None
        for i, threshold in enumerate(self._thresholds[metric]):
            if threshold.resources is not None and resource not in threshold.resources:
                continue
            if (threshold.statistic == READING) is not (stats is None):
                continue
            seen = value if stats is None else float(getattr(stats, threshold.statistic))
            was, series.crossed[i] = series.crossed[i], threshold.crossed(seen, series.crossed[i])
            if was is not series.crossed[i]:
                decisive = threshold, seen
        if decisive is None:
            return
        standing = [t for t, is_crossed in zip(self._thresholds[metric], series.crossed, strict=True) if is_crossed]
        worst = max((t.severity for t in standing), key=_RANK.__getitem__, default=None)
        if worst is not series.severity:
            series.severity = worst
            self._tell(ctx, metric, resource, worst, decisive[1], decisive[0])

    def _tell(
        self, ctx: Context, metric: str, resource: str, severity: Severity | None, value: float, by: Threshold | None
    ) -> None:
        level = value if by is None else by.raise_at if severity is not None else by.clear_at
        statistic = READING if by is None else by.statistic
        told = None if severity is None else str(severity)
        news = ThresholdCrossed(self._stratum, metric, resource, told, value, level, statistic, ctx.now)
        ctx.emit("threshold.crossed", metric=metric, resource=resource, severity=told, value=value, level=level)
        ctx.publish(f"{TELEMETRY_NEWS}.{self._stratum}.threshold", news)

    def _switched(self, ctx: Context, resource: str, on: bool) -> None:
        ctx.emit("meter.on" if on else "meter.off", stratum=self._stratum, resource=resource)
        news = MeterSwitched(self._stratum, resource, on, ctx.now)
        ctx.publish(f"{TELEMETRY_NEWS}.{self._stratum}.switched", news)


def note_crossing(alarms: AlarmBook, ctx: Context, news: ThresholdCrossed) -> None:
    """Make a crossing an alarm of the stratum's management, or end it. The alarm's cause is the metric's name."""
    if news.severity is None:
        alarms.clear(ctx, news.resource, news.metric)
        return
    unit = METRICS[news.metric].unit
    shown = "" if unit == "1" else f" {unit}"
    which = "" if news.statistic == READING else f", {news.statistic} of a window"
    text = f"{news.value:.4g}{shown}{which}; the threshold is {news.level:.4g}{shown}"
    alarms.raise_(ctx, news.resource, news.metric, Severity(news.severity), text)
