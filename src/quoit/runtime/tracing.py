"""Traces across elements: what one request set going, with simulated time stamps.

A `TracedKernel` follows requests of the given kinds. Every handler, every question and every operation of a device that
comes of one is a span; its parent is what caused it. Messages told at once carry the trace on, those told for later do
not: they are work that would be done in any case. A plain `Kernel` knows nothing of this and pays nothing for it.

Spans hold names, numbers of bits and the like (`FACTS`), never a field that is not in that list: no contents of keys.

Named limits: a trace has at most `MOST_SPANS` spans, the rest is counted; what another process of a twin does for a
request is not part of its trace, while the question to it is.
"""

from __future__ import annotations

import hashlib
import types
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from quoit.model.problem import Problem
from quoit.runtime.context import Ask, Context, Effect, Gather
from quoit.runtime.element import Element
from quoit.runtime.kernel import Kernel, Latency, no_latency
from quoit.runtime.wire import Message, name_of

FACTS = (
    "caller", "slave", "master", "number", "size_bits", "peer", "session_id", "stream", "start", "bits", "src", "dst",
    "link", "flow", "epoch", "rate_bps",
)  # fmt: skip
"""Fields of messages that a span shows, where they are text or numbers."""
MOST_SPANS = 500
MOST_CARRIED = 10_000
"""Messages on their way that carry a trace. Of more, the oldest is forgotten: its part of the trace is missing."""

HANDLE, ASK, EFFECT = "handle", "ask", "effect"
"""Kinds of spans: an element at work, an element that waits for another one, a device at work."""


@dataclass(frozen=True)
class Span:
    """A piece of a trace. Ids are 128 and 64 bits, the same in every run of a seed. `problem`: the code, if it ended
    with one. `unfinished`: it was still going on when the run ended."""

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    kind: str
    element: str
    stratum: str
    plane: str
    start_ns: int
    end_ns: int
    facts: Mapping[str, str | int | float]
    problem: str | None = None
    unfinished: bool = False


SpanSink = Callable[[Span], None]


class _Trace:
    __slots__ = ("dropped", "number", "spans", "trace_id")

    def __init__(self, seed: int, number: int) -> None:
        self.number = number
        self.trace_id = int.from_bytes(_digest(seed, number, 0, 16))
        self.spans = 0
        self.dropped = 0


class _Open:
    __slots__ = ("element", "facts", "kind", "name", "parent_id", "problem", "span_id", "start_ns", "trace")

    def __init__(self, trace: _Trace, span_id: int, parent_id: int | None, name: str, kind: str, element: Element,
                 start_ns: int, facts: dict[str, str | int | float]) -> None:  # fmt: skip
        self.trace = trace
        self.span_id = span_id
        self.parent_id = parent_id
        self.name = name
        self.kind = kind
        self.element = element
        self.start_ns = start_ns
        self.facts = facts
        self.problem: str | None = None


def _digest(seed: int, trace: int, span: int, size: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{trace}/{span}".encode(), digest_size=size, person=b"quoit trace").digest()


def facts_of(msg: object) -> dict[str, str | int | float]:
    """What a span shows of a message."""
    found: dict[str, str | int | float] = {}
    for holder in (getattr(msg, "order", None), msg):
        for name in FACTS:
            value = getattr(holder, name, None)
            if isinstance(value, str | int | float) and value != "":
                found[name] = value
    return found


class TracedContext(Context):
    """A context whose messages carry the trace that they come of."""

    __slots__ = ()

    def tell(self, to: str, msg: Message, after: int = 0) -> None:
        kernel = self._kernel
        if not after and isinstance(kernel, TracedKernel):
            kernel.carry(to, msg)
        super().tell(to, msg, after)


class TracedKernel(Kernel):
    """A kernel that traces what comes of messages of the kinds `roots`, and gives finished spans to `sink`."""

    context_class = TracedContext

    def __init__(
        self,
        elements: Iterable[Element],
        *,
        roots: frozenset[type[Message]],
        sink: SpanSink,
        seed: int = 1,
        latency: Latency = no_latency,
        start_ns: int = 0,
        local_ns: int = 0,
    ) -> None:
        super().__init__(elements, seed=seed, latency=latency, start_ns=start_ns, local_ns=local_ns)
        self._roots = roots
        self._sink = sink
        self._traces = 0
        self._current: _Open | None = None
        # Messages on their way, with what they come of. The message is kept so that its id stays its own.
        self._carried: OrderedDict[tuple[int, int], tuple[Message, _Open]] = OrderedDict()
        self._asking: dict[int, tuple[_Open, tuple[int, int]]] = {}
        self._spans: dict[int, _Open] = {}
        for index in range(len(self.elements)):
            self._trace_handlers(index)

    def finish(self) -> None:
        """The run is over: give out the spans that are still going on."""
        for span in list(self._spans.values()):
            self._close_span(span, unfinished=True)

    # -- what comes of what --------------------------------------------------------------------------

    def carry(self, to: str, msg: Message) -> None:
        """A message is told by the handler that runs now."""
        if self._current is not None:
            self._put(self.index_of(to), msg, self._current)

    def question(self, ctx: Context, to: str, msg: Message, within: int) -> int:
        """As in a plain kernel; opens the span of the asker's waiting."""
        if self._current is None:
            return super().question(ctx, to, msg, within)
        correlation = super().question(ctx, to, msg, within)
        span = self._open_span(self._current, f"ask {name_of(type(msg))}", ASK, self.elements[ctx.index], facts_of(msg))
        if span is not None:
            self._asking[correlation] = span, self._put(self.index_of(to), msg, span)
        return correlation

    def revive(self, element: Element) -> None:
        """As in a plain kernel."""
        super().revive(element)
        self._trace_handlers(self.index_of(element.name))

    def _put(self, index: int, msg: Message, span: _Open) -> tuple[int, int]:
        key = (index, id(msg))
        self._carried[key] = msg, span
        if len(self._carried) > MOST_CARRIED:
            self._carried.popitem(last=False)
        return key

    # -- handlers ------------------------------------------------------------------------------------

    def _trace_handlers(self, index: int) -> None:
        self._tables[index] = {kind: self._traced(index, kind, h) for kind, h in self._tables[index].items()}

    def _traced(self, index: int, kind: type[Message], handler: Callable[..., Awaitable[Any]]) -> Any:
        is_root = kind in self._roots

        @types.coroutine
        def run(ctx: Context, msg: Message) -> Generator[Any, Any, Any]:
            carried = self._carried.pop((index, id(msg)), None)
            parent = None if carried is None else carried[1]
            span = None
            if parent is not None or is_root:
                span = self._open_span(parent, name_of(kind), HANDLE, self.elements[index], facts_of(msg))
            if span is None:
                return (yield from handler(ctx, msg).__await__())
            return (yield from self._steer(span, handler(ctx, msg)))

        return run

    def _steer(self, span: _Open, coroutine: Any) -> Generator[Any, Any, Any]:
        """Run a handler, so that what it says while it runs is known to come of `span`."""
        value: Any = None
        fault: BaseException | None = None
        asked: list[_Open] = []
        missing = 0
        try:
            while True:
                self._current = span
                try:
                    request = coroutine.throw(fault) if fault is not None else coroutine.send(value)
                except StopIteration as end:
                    return end.value
                finally:
                    self._current = None
                waiting = self._waits(span, request)
                if type(request) is Gather and request.correlations:
                    asked, missing = self._gathered(request), len(request.correlations)
                value = fault = None
                try:
                    value = yield request
                except GeneratorExit:
                    coroutine.close()
                    raise
                except Exception as raised:  # noqa: BLE001 - it goes on to the handler
                    fault = raised
                self._waited(waiting, fault)
                if type(request) is Gather:
                    missing -= 1
                    # Which of the questions a reply is to is not known here: they end with the last one.
                    for one in asked if not missing else ():
                        self._close_span(one)
        except Problem as problem:
            span.problem = problem.code
            raise
        finally:
            self._close_span(span)

    def _waits(self, span: _Open, request: Any) -> _Open | None:
        """The span of what a handler waits for."""
        if type(request) is Ask:
            asking = self._asking.pop(request.correlation, None)
            return None if asking is None else asking[0]
        if type(request) is Effect:
            return self._open_span(span, f"commit {type(request.operation).__name__}", EFFECT, span.element, {})
        return None

    def _gathered(self, request: Gather) -> list[_Open]:
        """The spans of questions that were asked at once."""
        found = (self._asking.pop(correlation, None) for correlation in request.correlations)
        return [asking[0] for asking in found if asking is not None]

    def _waited(self, waiting: _Open | None, fault: BaseException | None) -> None:
        if waiting is not None:
            waiting.problem = fault.code if isinstance(fault, Problem) else None
            self._close_span(waiting)

    # -- spans ---------------------------------------------------------------------------------------

    def _open_span(
        self, parent: _Open | None, name: str, kind: str, element: Element, facts: dict[str, str | int | float]
    ) -> _Open | None:
        """None if the trace is full."""
        if parent is None:
            self._traces += 1
            trace = _Trace(self.seed, self._traces)
        else:
            trace = parent.trace
            if trace.spans >= MOST_SPANS:
                trace.dropped += 1
                return None
        trace.spans += 1
        span_id = int.from_bytes(_digest(self.seed, trace.number, trace.spans, 8))
        parent_id = None if parent is None else parent.span_id
        span = _Open(trace, span_id, parent_id, name, kind, element, self.now, facts)
        self._spans[span_id] = span
        return span

    def _close_span(self, span: _Open, unfinished: bool = False) -> None:
        if self._spans.pop(span.span_id, None) is None:
            return
        facts = span.facts
        if span.parent_id is None and span.trace.dropped:
            facts = {**facts, "dropped": span.trace.dropped}
        element = span.element
        self._sink(
            Span(
                span.trace.trace_id,
                span.span_id,
                span.parent_id,
                span.name,
                span.kind,
                element.name,
                str(element.stratum),
                str(element.plane),
                span.start_ns,
                self.now,
                facts,
                span.problem,
                unfinished,
            )
        )
