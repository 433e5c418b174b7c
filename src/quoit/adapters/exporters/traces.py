"""Traces for tools that read OpenTelemetry: an OTLP/JSON file, or any exporter of its SDK (the extra `otel`).

Time stamps are simulated: the scenario's epoch and the nanoseconds since. A viewer shows how long things took in the
network, not on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from quoit.runtime.kernel import Kernel
from quoit.runtime.tracing import ASK, EFFECT, HANDLE, Span, TracedKernel

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

KINDS = {EFFECT: 1, HANDLE: 2, ASK: 3}
"""SpanKind of OTLP: internal, server, client."""
OK, ERROR = 1, 2
BATCH = 256


class NoOpenTelemetry(ImportError):
    """The SDK is not installed; the text says how to get it."""


def attributes_of(span: Span) -> dict[str, str | int | float | bool]:
    """A span's facts under names of their own, and who it is of."""
    found: dict[str, str | int | float | bool] = {
        "quoit.element": span.element,
        "quoit.stratum": span.stratum,
        "quoit.plane": span.plane,
    }
    found |= {f"quoit.{name}": value for name, value in span.facts.items()}
    if span.problem is not None:
        found["error.type"] = span.problem
    if span.unfinished:
        found["quoit.unfinished"] = True
    return found


def _value(value: str | int | float | bool) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def otlp(span: Span, epoch_ns: int) -> dict[str, Any]:
    """A span in the JSON encoding of OTLP (opentelemetry-proto 1.x): ids in hex, 64-bit numbers as text."""
    body: dict[str, Any] = {
        "traceId": f"{span.trace_id:032x}",
        "spanId": f"{span.span_id:016x}",
        "name": span.name,
        "kind": KINDS[span.kind],
        "startTimeUnixNano": str(epoch_ns + span.start_ns),
        "endTimeUnixNano": str(epoch_ns + span.end_ns),
        "attributes": _pairs(attributes_of(span)),
        "status": {"code": OK} if span.problem is None else {"code": ERROR, "message": span.problem},
    }
    if span.parent_id is not None:
        body["parentSpanId"] = f"{span.parent_id:016x}"
    return body


class OtlpJsonFile:
    """A sink that writes spans to a file, a batch a line, as the OpenTelemetry collector's file exporter does and its
    file receiver reads."""

    def __init__(self, path: Path, network: str, epoch_unix_s: float) -> None:
        """OSError if the file cannot be written."""
        self._out: IO[bytes] = path.open("wb")
        self._resource = {"attributes": _pairs({"service.name": "quoit", "quoit.network": network})}
        self._epoch_ns = round(epoch_unix_s * 1e9)
        self._waiting: list[dict[str, Any]] = []

    def __call__(self, span: Span) -> None:
        self._waiting.append(otlp(span, self._epoch_ns))
        if span.parent_id is None or len(self._waiting) >= BATCH:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            scope = {"scope": {"name": "quoit"}, "spans": self._waiting}
            line = {"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}
            self._out.write(msgspec.json.encode(line) + b"\n")
            self._out.flush()
            self._waiting = []

    def finish(self, kernel: Kernel) -> None:
        """The run is over: write what waits, the spans that are still open as well, and close the file."""
        if isinstance(kernel, TracedKernel):
            kernel.finish()
        self._write()
        self._out.close()


def to_exporter(exporter: SpanExporter, network: str, epoch_unix_s: float) -> Callable[[Span], None]:
    """A sink that gives each span to an exporter of the OpenTelemetry SDK. NoOpenTelemetry without it."""
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
    except ImportError as fault:
        raise NoOpenTelemetry("the OpenTelemetry SDK is not installed: pip install 'quoit[otel]'") from fault
    epoch_ns = round(epoch_unix_s * 1e9)
    resource = Resource({"service.name": "quoit", "quoit.network": network})
    scope = InstrumentationScope("quoit")
    kinds = {EFFECT: SpanKind.INTERNAL, HANDLE: SpanKind.SERVER, ASK: SpanKind.CLIENT}

    def context(trace_id: int, span_id: int) -> SpanContext:
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def sink(span: Span) -> None:
        failed = span.problem is not None
        readable = ReadableSpan(
            span.name,
            context=context(span.trace_id, span.span_id),
            parent=None if span.parent_id is None else context(span.trace_id, span.parent_id),
            resource=resource,
            attributes=attributes_of(span),
            kind=kinds[span.kind],
            status=Status(StatusCode.ERROR, span.problem) if failed else Status(StatusCode.OK),
            start_time=epoch_ns + span.start_ns,
            end_time=epoch_ns + span.end_ns,
            instrumentation_scope=scope,
        )
        exporter.export([readable])

    return sink
