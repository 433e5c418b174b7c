"""Prometheus: the numbers of a kernel's instruments, read when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from quoit.model.metric import METRICS, MetricRow
from quoit.runtime.kernel import Kernel


class _Instruments(Collector):
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def collect(self) -> Iterator[Metric]:
        self._kernel.instruments.values["quoit_kernel_events_total", ()] = self._kernel.handled
        self._kernel.instruments.values["quoit_kernel_now_seconds", ()] = self._kernel.now / 1e9
        for row in METRICS.values():
            yield from self._family(row)

    def _family(self, row: MetricRow) -> Iterator[Metric]:
        instruments = self._kernel.instruments
        if row.kind == "histogram":
            histogram = HistogramMetricFamily(row.name, row.help, labels=row.labels)
            for (name, labels), h in instruments.histograms.items():
                if name == row.name:
                    running, buckets = 0, []
                    for bound, count in zip([*map(str, h.bounds), "+Inf"], h.buckets, strict=True):
                        running += count
                        buckets.append((bound, running))
                    histogram.add_metric(labels, buckets, h.total)
            yield histogram
            return
        kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
        family = kind(row.name, row.help, labels=row.labels)
        for labels, value in instruments.read(row.name):
            family.add_metric(labels, value)
        yield family


def registry_of(kernel: Kernel) -> CollectorRegistry:
    """A registry with all metrics of this kernel."""
    registry = CollectorRegistry()
    registry.register(_Instruments(kernel))
    return registry
