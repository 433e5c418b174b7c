"""One key request as a trace through all strata: parents, simulated time, no secrets, and no cost when off."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.exporters.traces import OtlpJsonFile, to_exporter
from quoit.adapters.stores.memory import MemoryStore
from quoit.cli.main import main
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.kernel import Kernel
from quoit.runtime.trace import Digest
from quoit.runtime.tracing import MOST_SPANS, Span
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys, TakeKeys

S = 1_000_000_000
LINE = """
quoit: 1
name: traced
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ab, between: [a, b], length: 20 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 20 km, attenuation: 0.2 dB/km}
links:
  - {name: left, between: [a, b]}
  - {name: right, between: [b, c]}
applications:
  - {sae: alice, kme: kme-a}
  - {sae: carol, kme: kme-c}
"""


def world_of(sink: Callable[[Span], None] | None, text: str = LINE) -> VirtualWorld:
    world = VirtualWorld(assemble(loads(text), Parts(lambda kme: MemoryStore(), trace_sink=sink)).kernel)
    world.begin()
    return world


def request(world: VirtualWorld, number: int = 1) -> Keys:
    ids = tuple(str(uuid.UUID(int=n + 1, version=4)) for n in range(number))
    opened: Keys = world.ask("kme-a", OpenKeys("alice", "carol", number, ids))
    taken: Keys = world.ask("kme-c", TakeKeys("carol", "alice", ids))
    assert [k.value.reveal() for k in opened.keys] == [k.value.reveal() for k in taken.keys]
    return opened


@pytest.fixture
def played() -> tuple[list[Span], Keys]:
    spans: list[Span] = []
    world = world_of(spans.append)
    world.run_until(20 * S)
    assert spans == [], "nothing is traced that no request set going"
    keys = request(world)
    world.run_until(25 * S)
    return spans, keys


@pytest.mark.realises("G1", "I2")
def test_a_request_is_one_trace_from_the_application_down_to_the_relays(played: tuple[list[Span], Keys]) -> None:
    spans, _ = played
    (first,) = {span.trace_id for span in spans if span.name == "service.OpenKeys"}
    trace = {span.span_id: span for span in spans if span.trace_id == first}
    assert len(trace) == len([span for span in spans if span.trace_id == first]), "ids are their own"
    (root,) = [span for span in trace.values() if span.parent_id is None]
    assert (root.name, root.element, root.stratum) == ("service.OpenKeys", "kme-a", "service")
    for span in trace.values():
        if span.parent_id is not None:
            parent = trace[span.parent_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns
            if span.kind != "handle":
                assert span.end_ns <= parent.end_ns

    def way(span: Span) -> list[tuple[str, str]]:
        up = [(span.element, span.name)]
        while span.parent_id is not None:
            span = trace[span.parent_id]
            up.append((span.element, span.name))
        return up[::-1]

    ways = [way(span) for span in trace.values()]
    refill = [("kme-a", "service.OpenKeys"), ("kme-a", "service.Refill")]
    control = [*refill, ("kme-a", "ask fabric.OpenFlow"), ("fabric.controller", "fabric.OpenFlow")]
    relayed = [
        *refill,
        ("kme-a", "ask fabric.MoveKey"),
        ("relay:a", "fabric.MoveKey"),
        ("relay:a", "ask fabric.RelayHop"),
        ("relay:b", "fabric.RelayHop"),
        ("relay:b", "ask fabric.RelayHop"),
        ("relay:c", "fabric.RelayHop"),
        ("relay:c", "ask fabric.KeyArrived"),
        ("kme-c", "fabric.KeyArrived"),
        ("kme-c", "commit AppendOp"),
    ]
    assert control in ways
    assert relayed in ways
    assert [("kme-a", "service.OpenKeys"), ("kme-a", "commit OpenOp")] in ways
    assert {"service", "fabric"} <= {span.stratum for span in trace.values()}
    hop = next(span for span in trace.values() if (span.element, span.name) == ("relay:b", "fabric.RelayHop"))
    assert hop.facts["stream"] == "kme-a>kme-c"
    others = {span.name for span in spans if span.trace_id != first and span.parent_id is None}
    assert others == {"service.TakeKeys"}


def test_spans_hold_no_secret(played: tuple[list[Span], Keys]) -> None:
    spans, keys = played
    text = repr(spans)
    for key in keys.keys:
        value = key.value.reveal()
        assert value.hex() not in text
        assert repr(bytes(value))[2:-1] not in text
    assert {type(value) for span in spans for value in span.facts.values()} <= {str, int, float, bool}


@pytest.mark.realises("F8")
def test_tracing_changes_nothing_and_is_the_same_twice() -> None:
    told: list[tuple[str, int, list[Span]]] = []
    for traced in (False, True, True):
        spans: list[Span] = []
        world = world_of(spans.append if traced else None)
        digest = Digest()
        world.kernel.sinks.append(digest)
        world.run_until(10 * S)
        request(world)
        world.run_until(15 * S)
        told.append((digest.hexdigest(), world.kernel.handled, spans))
    plain, first, second = told
    assert plain[:2] == first[:2]
    assert first == second
    assert first[2]


def test_a_plain_twin_has_no_trace_of_tracing() -> None:
    kernel = world_of(None).kernel
    assert type(kernel) is Kernel
    assert {type(ctx) for ctx in kernel._contexts} == {Context}


def test_a_refused_request_says_why_and_a_trace_has_an_end() -> None:
    spans: list[Span] = []
    world = world_of(spans.append, LINE.replace("  - {name: right, between: [b, c]}\n", ""))
    world.run_until(5 * S)
    with pytest.raises(Problem):
        request(world)
    world.run_until(600 * S)
    root = next(span for span in spans if span.parent_id is None)
    assert root.problem in ("no-route", "no-key-material")
    world.kernel.finish()  # type: ignore[attr-defined]
    trace = [span for span in spans if span.trace_id == root.trace_id]
    assert len(trace) == MOST_SPANS, "a stream that is tried for ever does not fill the memory"
    assert any(span.unfinished for span in trace)


def test_the_sdk_takes_them_with_parents_and_simulated_time() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import SpanKind, StatusCode

    exporter = InMemorySpanExporter()
    network = loads(LINE)
    world = world_of(to_exporter(exporter, network.name, network.epoch_unix_s))
    world.run_until(20 * S)
    request(world)
    world.run_until(25 * S)
    spans = exporter.get_finished_spans()
    root = next(s for s in spans if s.name == "service.OpenKeys")
    assert root.parent is None
    assert root.kind is SpanKind.SERVER
    assert root.status.status_code is StatusCode.OK
    assert root.start_time == round(network.epoch_unix_s * 1e9) + 20 * S
    assert root.attributes is not None
    assert root.attributes["quoit.element"] == "kme-a"
    mine = {s.context.span_id: s for s in spans if s.context and s.context.trace_id == root.context.trace_id}
    assert all(s.parent is None or s.parent.span_id in mine for s in mine.values())
    assert len({s.context.trace_id for s in spans if s.context}) == 2
    assert json.loads(root.to_json())["resource"]["attributes"]["quoit.network"] == "traced"


def lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text().splitlines():
        (resource,) = json.loads(line)["resourceSpans"]
        (scope,) = resource["scopeSpans"]
        found += scope["spans"]
    return found


def test_a_run_writes_otlp_in_its_json_encoding(tmp_path: Path) -> None:
    file, traces = tmp_path / "net.yaml", tmp_path / "traces.jsonl"
    file.write_text(LINE + "events: [{at: 10s, until: 12s, load: {from: alice, to: carol, rate: 1 kbit/s}}]")
    with pytest.raises(SystemExit) as end:
        main(["run", str(file), "--until", "15s", "--traces", str(traces)])
    assert end.value.code == 0
    spans = lines(traces)
    roots = [span for span in spans if "parentSpanId" not in span]
    assert {span["name"] for span in roots} == {"service.OpenKeys", "service.TakeKeys"}
    for span in spans:
        assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert span["kind"] in (1, 2, 3)
    pairs = itertools.chain.from_iterable(span["attributes"] for span in spans)
    assert {next(iter(pair["value"])) for pair in pairs} <= {"stringValue", "intValue", "doubleValue", "boolValue"}


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(LINE)
    with pytest.raises(SystemExit) as end:
        main(["run", str(file), "--until", "1s", "--traces", str(tmp_path / "no" / "such")])
    assert end.value.code == 2
    assert "--traces" in capsys.readouterr().err
    with pytest.raises(OSError, match="No such file"):
        OtlpJsonFile(tmp_path / "no" / "such", "n", 0.0)
