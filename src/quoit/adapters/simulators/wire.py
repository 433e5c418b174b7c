"""What quoit and a worker say to each other, one JSON object a line: see workers/worker.py for the protocol.

Whatever a worker says is checked here before anybody believes it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from quoit.engine.simulators.port import KINDS, Capabilities, Figure, Result, Scenario, as_data

PROTOCOL = 1
MAX_LINE = 1 << 20
"""Bytes; no answer is longer."""


class Garbled(ValueError):
    """A line that the protocol does not know; says what was expected and found."""


class _Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    simulator: str
    version: str
    formalisms: tuple[str, ...]
    operations: tuple[str, ...]
    scenarios: tuple[str, ...]
    deterministic: bool
    clock: bool


class _Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    figures: dict[str, Figure] = {}
    missing: dict[str, str] = {}
    assumptions: tuple[str, ...] = ()


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line of a worker: a greeting (`protocol`), a beat, or an answer (`id`)."""

    protocol: int | None = msgspec.field(default=None, name="quoit-simulator")
    capabilities: Any = None
    beat: int | None = None
    id: int | None = None
    result: Any = None
    error: str | None = None


def request(number: int, scenario: Scenario, within_s: float) -> bytes:
    """The line that asks for a scenario."""
    body: dict[str, Any] = {"id": number, "scenario": as_data(scenario), "within_s": within_s}
    return msgspec.json.encode(body) + b"\n"


def message(line: bytes) -> Message:
    """A worker's line. Garbled if it is none."""
    if not line.endswith(b"\n"):
        raise Garbled(f"expected lines of {MAX_LINE} bytes at most, found a longer one or half of one")
    try:
        return msgspec.json.decode(line, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise Garbled(f"expected a line of the protocol, found {line[:80]!r}: {fault}") from fault


def greeting(found: Message) -> Capabilities:
    """What a worker says first. Garbled for another protocol, or for capabilities that cannot be."""
    if found.protocol is None or found.capabilities is None:
        raise Garbled("expected a greeting with `quoit-simulator` and `capabilities`, found another line")
    if found.protocol != PROTOCOL:
        raise Garbled(f"expected protocol {PROTOCOL}, found {found.protocol}")
    try:
        c = msgspec.convert(found.capabilities, _Capabilities)
        return Capabilities(
            c.simulator, c.version, c.formalisms, c.operations, c.scenarios, c.deterministic, c.clock, "process"
        )
    except (msgspec.MsgspecError, ValueError) as fault:
        raise Garbled(f"capabilities: {fault}") from fault


def result(found: Message, of: Capabilities, scenario: Scenario) -> Result:
    """An answer's result. "*" in `missing` is the reason for all figures that are in neither list. Garbled if a
    figure is left out without a reason, or is no number."""
    if found.result is None:
        raise Garbled("expected `result` or `error` in an answer, found neither")
    try:
        r = msgspec.convert(found.result, _Result)
        missing = {name: reason for name, reason in r.missing.items() if name != "*"}
        if "*" in r.missing:
            missing |= {
                name: r.missing["*"]
                for name in KINDS[scenario.kind].figures
                if name not in r.figures and name not in missing
            }
        return Result(of.simulator, of.version, scenario.kind, r.figures, missing, r.assumptions)
    except (msgspec.MsgspecError, ValueError) as fault:
        raise Garbled(f"result of {scenario.kind}: {fault}") from fault
