"""Where elements put their measurements: plain numbers that an exporter reads when it is asked.

Names and labels come from the table in `quoit.model.metric`; nothing here knows Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator

Labels = tuple[str, ...]

# Upper bounds, seconds: fine where the pacing promise lies (0.2 ms, 2 ms), coarse above.
LATENESS_BOUNDS_S = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 1.0, 10.0)


class Histogram:
    """Counts per bucket; `bounds` are upper bounds, the last bucket is open."""

    __slots__ = ("bounds", "buckets", "count", "maximum", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.count = 0
        self.maximum = 0.0

    def observe(self, value: float) -> None:
        i = 0
        for bound in self.bounds:
            if value <= bound:
                break
            i += 1
        self.buckets[i] += 1
        self.total += value
        self.count += 1
        self.maximum = max(self.maximum, value)


class Instruments:
    """Counters, gauges and histograms of one process, by (metric name, label values)."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, Labels], float] = {}
        self.histograms: dict[tuple[str, Labels], Histogram] = {}

    def count(self, name: str, labels: Labels = (), by: float = 1.0) -> None:
        key = (name, labels)
        self.values[key] = self.values.get(key, 0.0) + by

    def gauge(self, name: str, labels: Labels, value: float) -> None:
        self.values[name, labels] = value

    def forget(self, name: str, labels: Labels) -> None:
        """End a series: what it measured is no longer there."""
        self.values.pop((name, labels), None)

    def observe(self, name: str, labels: Labels, value: float) -> None:
        key = (name, labels)
        histogram = self.histograms.get(key)
        if histogram is None:
            histogram = self.histograms[key] = Histogram(LATENESS_BOUNDS_S)
        histogram.observe(value)

    def read(self, name: str) -> Iterator[tuple[Labels, float]]:
        """All label values of one metric with their numbers."""
        for (metric, labels), value in self.values.items():
            if metric == name:
                yield labels, value
