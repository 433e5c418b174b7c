"""The telemetry section of a network file: thresholds on metrics, checked and read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from quoit.model import quantity
from quoit.model.metric import METRICS
from quoit.planes.management import Severity
from quoit.planes.telemetry import TelemetryPlan, Threshold
from quoit.scenario.schema import NetworkFile, ThresholdSection
from quoit.scenario.yamlfile import Loc

Unknown = Callable[[Loc, str, str, Iterable[str]], Iterator[tuple[Loc, str]]]

RESOURCE_OF: Mapping[str, str] = MappingProxyType(
    {
        "quoit_span_loss_db": "span",
        "quoit_link_qber": "link",
        "quoit_link_sifted_bps": "link",
        "quoit_link_secret_bps": "link",
        "quoit_pool_bits": "link",
        "quoit_session_latency_seconds": "session",
    }
)
"""Metrics that may have thresholds, and what they are metrics of."""


def _number(value: Any) -> float:
    return float(value)


_READ: Mapping[str, tuple[Callable[[Any], float], str]] = MappingProxyType(
    {
        "1": (_number, "a number such as 0.05"),
        "dB": (quantity.parse_loss_db, "a loss such as 9 dB"),
        "bit": (quantity.parse_size_bits, "a size such as 100 kbit"),
        "bit/s": (quantity.parse_rate_bps, "a rate such as 2 kbit/s"),
        "s": (lambda value: quantity.parse_duration_ns(value) / 1e9, "a duration such as 20ms"),
    }
)


def level_of(metric: str, value: float | str) -> float:
    """A level in the metric's unit. ValueError says what was expected."""
    read, wanted = _READ[METRICS[metric].unit]
    try:
        found = read(value)
    except (ValueError, TypeError) as fault:
        raise ValueError(f"expected {wanted}, found {value!r}") from fault
    if not math.isfinite(found) or found < 0:
        raise ValueError(f"expected {wanted}, 0 or more, found {value!r}")
    return found


def check_thresholds(n: NetworkFile, unknown: Unknown) -> Iterator[tuple[Loc, str]]:
    """What the schema cannot see."""
    names = {"span": [span.id for span in n.spans], "link": [link.id for link in n.links]}
    for i, one in enumerate(n.telemetry.thresholds):
        at: Loc = ("telemetry", "thresholds", i)
        if one.metric not in RESOURCE_OF:
            yield from unknown((*at, "metric"), "metric that may have thresholds", one.metric, RESOURCE_OF)
            continue
        kind = RESOURCE_OF[one.metric]
        for k, name in enumerate(one.of or ()):
            if kind in names:
                yield from unknown((*at, "of", k), kind, name, names[kind])
            else:
                yield (*at, "of", k), f"{kind}s have no names before they are opened; leave `of` out"
        faults = list(_check_levels(one))
        yield from (((*at, key), text) for key, text in faults)
        if not faults and level_of(one.metric, one.raise_at) == level_of(one.metric, one.clear_at):
            text = "expected two levels, so that a value that trembles raises one alarm; found raise and clear alike"
            yield (*at, "clear"), text


def _check_levels(one: ThresholdSection) -> Iterator[tuple[str, str]]:
    for key, value in (("raise", one.raise_at), ("clear", one.clear_at)):
        try:
            level_of(one.metric, value)
        except ValueError as fault:
            yield key, str(fault)


def telemetry_plan(n: NetworkFile) -> TelemetryPlan:
    """The section as the meters take it; the file has been checked."""
    return TelemetryPlan(
        n.telemetry.window_ns,
        tuple(
            Threshold(
                one.metric,
                level_of(one.metric, one.raise_at),
                level_of(one.metric, one.clear_at),
                Severity(one.severity),
                one.on,
                None if one.of is None else frozenset(one.of),
            )
            for one in n.telemetry.thresholds
        ),
    )
