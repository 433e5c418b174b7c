"""THE table of metrics: name, kind, unit, labels and what it says. Nobody names a metric anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class MetricRow(NamedTuple):
    """One metric. `kind`: counter, gauge or histogram. Units are in the name where they have one."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


_ROWS = (
    MetricRow("quoit_kernel_lateness_seconds", "histogram", (), "How late an event was handled; never early"),
    MetricRow("quoit_kernel_events_total", "counter", (), "Events handled"),
    MetricRow("quoit_link_qber", "gauge", ("link",), "Error rate of the last interval's test detections"),
    MetricRow("quoit_link_sifted_bps", "gauge", ("link",), "Sifted detections per second"),
    MetricRow("quoit_link_secret_bps", "gauge", ("link",), "Secret bits per second, mean of the last block"),
    MetricRow("quoit_link_blocks_total", "counter", ("link", "verdict"), "Blocks made and failed"),
    MetricRow("quoit_link_quarantined", "gauge", ("link",), "1 while a link is in quarantine"),
    MetricRow("quoit_link_loss_db", "gauge", ("link",), "Loss of the link's path"),
    MetricRow("quoit_span_lit", "gauge", ("span",), "1 while light arrives at the end of a span"),
    MetricRow("quoit_pool_bits", "gauge", ("link",), "Link key not yet handed out"),
    MetricRow("quoit_pool_spent_bits_total", "counter", ("link", "use"), "Link key handed out, by use"),
    MetricRow("quoit_relay_bits_total", "counter", ("link",), "Key bits relayed over a link"),
    MetricRow("quoit_stream_bits", "gauge", ("stream",), "End-to-end key ready for a pair of KMEs"),
    MetricRow("quoit_keys_issued_total", "counter", ("kme",), "Keys opened"),
    MetricRow("quoit_keys_delivered_total", "counter", ("kme", "role"), "Keys taken by slaves"),
    MetricRow("quoit_keys_refused_total", "counter", ("kme", "code"), "Requests refused, by problem"),
    MetricRow("quoit_keys_lost_after_commit_total", "counter", ("kme",), "Keys void because a peer did not confirm"),
)

METRICS: Mapping[str, MetricRow] = MappingProxyType({row.name: row for row in _ROWS})
