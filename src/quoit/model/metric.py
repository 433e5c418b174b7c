"""THE table of metrics: name, kind, unit, labels and what it says.

Elements write by name (`ctx.gauge("quoit_link_qber", (link,), value)`), label values in the order of the row;
exporters read the rows. A test holds both against this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Kind(StrEnum):
    """A counter only grows; a gauge goes both ways; a histogram counts observations by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricRow(NamedTuple):
    """One metric. `unit` is what one unit of its value is: `1` for ratios and flags."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

_ROWS = (
    MetricRow("quoit_kernel_lateness_seconds", _H, "s", (), "How late an event was handled; never early"),
    MetricRow("quoit_kernel_now_seconds", _G, "s", (), "Simulated time since the scenario's start"),
    MetricRow("quoit_kernel_events_total", _C, "event", (), "Events handled"),
    # All strata
    MetricRow("quoit_alarms", _G, "alarm", ("stratum", "severity"), "Standing alarms"),
    MetricRow("quoit_health", _G, "1", ("kind",), "Health, 0 to 100, of the subservice of a kind that is most ill"),
    MetricRow("quoit_loop_records_total", _C, "record", ("loop", "stage"), "Steps of closed loops"),
    MetricRow("quoit_light_moves_total", _C, "move", ("stratum", "cause"), "Links moved by a stratum that coordinates"),
    # Connectivity
    MetricRow("quoit_span_lit", _G, "1", ("span",), "1 while light arrives at the end of a span"),
    MetricRow("quoit_span_loss_db", _G, "dB", ("span",), "Loss of a span by its power meter"),
    MetricRow("quoit_link_loss_db", _G, "dB", ("link",), "Loss of the link's path"),
    MetricRow("quoit_channel_power_dbm", _G, "dBm", ("span", "node", "ghz"), "Power that a channel monitor reads"),
    MetricRow(
        "quoit_channel_osnr_db", _G, "dB", ("span", "node", "ghz"), "OSNR in 0.1 nm that a channel monitor reads"
    ),
    MetricRow(
        "quoit_service_enabled", _G, "1", ("service", "kind"), "1 while light of a connectivity service goes through"
    ),
    MetricRow("quoit_domain_preference", _G, "1", ("domain",), "Local preference of an optical domain, 0 to 100"),
    MetricRow("quoit_domain_excess_db", _G, "dB", ("domain",), "What a domain's worst way loses more than announced"),
    MetricRow(
        "quoit_packets_total", _C, "packet", ("link", "mode", "fate"), "Quantum payloads sent, by what became of them"
    ),
    # Quantum Fabric
    MetricRow("quoit_link_qber", _G, "1", ("link",), "Error rate of the last interval's test detections"),
    MetricRow("quoit_link_chsh", _G, "1", ("link",), "CHSH value S of the last block, of protocols that test it"),
    MetricRow("quoit_link_sifted_bps", _G, "bit/s", ("link",), "Sifted detections per second"),
    MetricRow("quoit_link_secret_bps", _G, "bit/s", ("link",), "Secret bits per second, mean of the last block"),
    MetricRow("quoit_link_block_bits", _G, "bit", ("link",), "Secret bits of the last block"),
    MetricRow("quoit_link_blocks_total", _C, "block", ("link", "verdict"), "Blocks made and failed"),
    MetricRow("quoit_link_quarantined", _G, "1", ("link",), "1 while a link is in quarantine"),
    MetricRow("quoit_pool_bits", _G, "bit", ("link",), "Link key not yet handed out"),
    MetricRow("quoit_pool_spent_bits_total", _C, "bit", ("link", "use"), "Link key handed out, by use"),
    MetricRow("quoit_relay_bits_total", _C, "bit", ("link",), "Key bits relayed over a link"),
    MetricRow("quoit_pair_link_fidelity", _G, "1", ("link",), "Fidelity of a link's pairs by the last test round"),
    MetricRow("quoit_pairs_delivered_total", _C, "pair", ("node",), "Entangled pairs delivered, by their head's node"),
    MetricRow("quoit_pair_steps_total", _C, "1", ("node", "what"), "Heralds, swaps, purifications, failures, expiries"),
    MetricRow("quoit_pairs_told_total", _C, "pair", ("line", "kind"), "Entangled pairs told to those who asked"),
    MetricRow("quoit_pair_requests_total", _C, "request", ("line", "verdict"), "Requests for pairs ended: OK or ERR"),
    # Service
    MetricRow("quoit_stream_bits", _G, "bit", ("stream",), "End-to-end key ready for a pair of KMEs"),
    MetricRow("quoit_hybrid_bits_total", _C, "bit", ("kme",), "Key made with post-quantum encapsulation"),
    MetricRow("quoit_session_bits_total", _C, "bit", ("domain",), "Key handed out in sessions"),
    MetricRow("quoit_session_latency_seconds", _G, "s", ("session",), "Time that the last answer of a session took"),
    MetricRow("quoit_keys_issued_total", _C, "key", ("kme",), "Keys opened"),
    MetricRow("quoit_keys_delivered_total", _C, "key", ("kme", "role"), "Keys taken by slaves"),
    MetricRow("quoit_keys_refused_total", _C, "request", ("kme", "code"), "Requests refused, by problem"),
    MetricRow("quoit_keys_lost_after_commit_total", _C, "key", ("kme",), "Keys void because a peer did not confirm"),
    MetricRow("quoit_units", _G, "unit", ("kme", "state"), "Service units in each state of their life"),
    MetricRow("quoit_key_bits_delivered_total", _C, "bit", ("kme",), "Bits of keys handed to those who opened them"),
    # Footprint; `use` is keys or pairs
    MetricRow("quoit_power_watts", _G, "W", ("use",), "Power of the devices that are on"),
    MetricRow("quoit_energy_joules_total", _C, "J", ("use",), "Energy of devices while they were on"),
    MetricRow("quoit_energy_per_bit_joules", _G, "J", (), "Energy for each key bit delivered since the start"),
    MetricRow("quoit_energy_per_pair_joules", _G, "J", (), "Energy for each entangled pair delivered since the start"),
    MetricRow("quoit_fibre_quantum_km", _G, "km", (), "Fibre that carries quantum channels"),
    MetricRow("quoit_fibre_shared_ratio", _G, "1", (), "Share of it that carries classical traffic, too"),
    # Edges
    MetricRow("quoit_http_requests_total", _C, "request", ("interface", "status"), "Requests answered, by status"),
)

METRICS: Mapping[str, MetricRow] = MappingProxyType({row.name: row for row in _ROWS})
