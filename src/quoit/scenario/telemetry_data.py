"""What the telemetry planes know, as data of the YANG module quoit-telemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from quoit.connectivity import api as connectivity
from quoit.fabric import api as fabric
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.providers import Provider
from quoit.interfaces.restconf.schema import Tree
from quoit.orchestration.telemetry_api import (
    ASSURANCE,
    FOOTPRINT,
    AssuranceTable,
    CorrelatedAlarms,
    Footprint,
    GetAssurance,
    GetCorrelatedAlarms,
    GetFootprint,
    HealthChanged,
    SymptomRow,
)
from quoit.planes.management import Alarm
from quoit.planes.telemetry import GetMeters, MeterRow, Meters, WindowStats
from quoit.runtime.gate import Gate
from quoit.runtime.wire import Message
from quoit.scenario.schema import NetworkFile
from quoit.service.agreements import monitors

MODULE = "quoit-telemetry"
_STEP = Decimal("1e-9")


def real(value: float | None) -> str | None:
    """A number as decimal64 with nine fraction digits, in canonical form (RFC 7950 cl. 9.3.2)."""
    if value is None:
        return None
    text = f"{Decimal(repr(float(value))).quantize(_STEP):f}".rstrip("0")
    text = text + "0" if text.endswith(".") else text
    return "0.0" if text == "-0.0" else text


def _without_gaps(**leaves: Any) -> Tree:
    return {name.replace("_", "-"): value for name, value in leaves.items() if value is not None}


def _window(stats: WindowStats) -> Tree:
    return {
        "begin": str(stats.begin_ns),
        "end": str(stats.end_ns),
        "number": stats.number,
        **{name: real(getattr(stats, name)) for name in ("least", "mean", "most", "p50", "p95")},
    }


def _meter(row: MeterRow) -> Tree:
    return _without_gaps(
        stratum=row.stratum,
        metric=row.metric,
        resource=row.resource,
        unit=row.unit,
        on_since=str(row.on_since_ns),
        value=real(row.value),
        window=None if row.window is None else _window(row.window),
    )


def _symptoms(rows: Iterable[SymptomRow]) -> list[Tree]:
    return [
        {"about": s.about, "name": s.name, "text": s.text, "weight": s.weight, "since": str(s.since_ns)} for s in rows
    ]


def links_of(told: fabric.Links) -> list[Tree]:
    """The list `link`."""
    return [
        _without_gaps(
            name=row.link,
            state=row.state,
            qber=real(row.qber),
            sifted_rate=real(row.sifted_bps),
            secret_rate=real(row.secret_bps),
            pool=str(row.pool_bits),
            blocks=str(row.blocks),
            failed_blocks=str(row.failed_blocks),
        )
        for row in told.rows
    ]


def spans_of(told: connectivity.Spans) -> list[Tree]:
    """The list `span`."""
    return [
        _without_gaps(
            name=row.span, state=row.state, loss=real(row.loss_db), commissioned_loss=real(row.commissioned_db)
        )
        for row in told.spans
    ]


def alarms_of(told: CorrelatedAlarms) -> list[Tree]:
    """The list `alarm`."""
    return [
        {
            "stratum": a.stratum,
            "about": a.about,
            "cause": a.cause,
            "severity": a.severity,
            "text": a.text,
            "since": str(a.since_ns),
            "root-cause": [{"stratum": r.stratum, "about": r.about, "cause": r.cause} for r in a.roots],
        }
        for a in told.alarms
    ]


def subservices_of(told: AssuranceTable) -> list[Tree]:
    """The list `subservice`."""
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "health": row.health,
            "symptom": _symptoms(row.symptoms),
            "cause": _symptoms(row.causes),
        }
        for row in told.rows
    ]


def footprint_of(told: Footprint) -> Tree:
    """The container `footprint`."""
    return _without_gaps(
        key_power=real(told.key_watts),
        energy_per_bit=real(told.joules_per_bit),
        pair_power=real(told.pair_watts),
        energy_per_pair=real(told.joules_per_pair),
        shared_fibre=real(told.shared_ratio),
        assumed_power=real(told.assumed_ratio),
    )


def all_monitors(network: NetworkFile) -> tuple[str, ...]:
    """Names of all domains' monitoring elements."""
    number = network.policies.control_instances
    return tuple(name for domain in network.all_domains() for name in monitors(domain.name, number))


class TelemetryProvider(Provider):
    """Asks the elements of a twin when somebody wants to know. `monitors`: names of the domains' monitors."""

    def __init__(self, gate: Gate, monitors: Iterable[str]) -> None:
        self._gate = gate
        self._meters = (connectivity.METERS, fabric.METERS, *monitors)

    async def state(self) -> Tree:
        links: Any = await self._gate.ask(fabric.METERS, fabric.GetLinks())
        spans: Any = await self._gate.ask(connectivity.METERS, connectivity.GetSpans())
        alarms: Any = await self._gate.ask(ASSURANCE, GetCorrelatedAlarms())
        assurance: Any = await self._gate.ask(ASSURANCE, GetAssurance())
        footprint: Any = await self._gate.ask(FOOTPRINT, GetFootprint())
        rows: list[MeterRow] = []
        for element in self._meters:
            told: Any = await self._gate.ask(element, GetMeters())
            assert isinstance(told, Meters)
            rows += told.meters
        body = {
            "link": links_of(links),
            "span": spans_of(spans),
            "meter": [_meter(row) for row in rows],
            "alarm": alarms_of(alarms),
            "subservice": subservices_of(assurance),
            "footprint": footprint_of(footprint),
        }
        return {f"{MODULE}:telemetry": body}


async def tell_changes(gate: Gate, core: Restconf) -> None:
    """Until cancelled: word to on-change subscriptions that alarms or health have changed."""

    async def follow(kind: type[Message]) -> None:
        async for _ in gate.watch(kind):
            core.changed()

    async with asyncio.TaskGroup() as tasks:
        for kind in (Alarm, HealthChanged):
            tasks.create_task(follow(kind))
