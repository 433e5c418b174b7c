"""The kernel steps handlers in the order (due, sender, sender's count), the same in every world.

That key needs no global counter, so several processes that hold parts of one scenario order the events
of each element alike. A kernel holds the elements of its own process; what goes to others leaves
through the `Post`. Who advances the time is the world's business (`virtual`, `live`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from heapq import heappop, heappush
from typing import Any, Protocol

from quoit.model.problem import Problem
from quoit.runtime.context import Ask, Context, Device, Effect
from quoit.runtime.element import Element, Plane
from quoit.runtime.instruments import Instruments
from quoit.runtime.trace import Sink
from quoit.runtime.wire import Message, decode, encode, name_of

SAY, ANSWER, REFUSE, RESUME, EXPIRE = range(5)

Latency = Callable[[str, str], int]
Entry = tuple[int, int, int, int, int, Any, int]
"""(due, sender, sender's count, kind, target, payload, correlation)"""


class PlaneViolation(Exception):
    """An element of another plane spoke to one that is open to the resource plane only."""


class Post(Protocol):
    """Carries what leaves this process."""

    def send(self, process: int, frame: tuple[Any, ...]) -> None:
        """Bring one event to the kernel of another process; see `Kernel.receive` for the frame."""
        ...


class Devices(Protocol):
    """Runs operations of devices: at once in virtual time, on a writer thread in a live world."""

    def submit(self, device: Device, operation: Any, due: int, done: Callable[[Any], None]) -> None: ...


class _Task:
    """A handler that waits, with what its end is owed to."""

    __slots__ = ("correlation", "ctx", "routine", "target")

    def __init__(self, routine: Any, ctx: Context, target: int, correlation: int) -> None:
        self.routine = routine
        self.ctx = ctx
        self.target = target
        self.correlation = correlation


class AtOnce:
    """Devices of the virtual world: the operation is done before the call returns."""

    def submit(self, device: Device, operation: Any, due: int, done: Callable[[Any], None]) -> None:
        done(device.execute([operation])[0])


def no_latency(here: str, there: str) -> int:
    """Everything is next door."""
    return 0


class Kernel:
    """Elements of one process and the events that wait for them.

    `elements` are all elements of the scenario in assembly order; `mine` says which of them live here
    (None: all). `latency(place, place)` gives the classical path's delay in nanoseconds.
    """

    def __init__(
        self,
        elements: Iterable[Element],
        *,
        seed: int = 1,
        latency: Latency = no_latency,
        process_of: Callable[[Element], int] | None = None,
        process: int = 0,
        post: Post | None = None,
        start_ns: int = 0,
    ) -> None:
        self.elements: list[Element] = sorted(elements, key=lambda e: e.name)
        self.seed = seed
        self.now = start_ns
        self.process = process
        self.instruments = Instruments()
        self.sinks: list[Sink] = []
        self.watchers: list[Callable[[str, Message], None]] = []
        self.devices: Devices = AtOnce()
        self.handled = 0
        self.disorder = 0
        # A handler's fault stops a virtual run; a live twin logs it and goes on.
        self.strict = True
        self._latency_of = latency
        self._latencies: dict[tuple[str, str], int] = {}
        self._post = post
        self._heap: list[Entry] = []
        self._index = {e.name: i for i, e in enumerate(self.elements)}
        if len(self._index) != len(self.elements):
            raise ValueError("two elements of one scenario share a name")
        self._process_of = [process_of(e) if process_of else process for e in self.elements]
        self._contexts = [
            Context(self, i, e.name, e.place, {"stratum": str(e.stratum), "plane": str(e.plane)})
            for i, e in enumerate(self.elements)
        ]
        self._tables = [{kind: handler.__get__(e) for kind, handler in e.handlers.items()} for e in self.elements]
        self._guarded = [e.only_resource_plane for e in self.elements]
        self._subscribers: dict[str, tuple[int, ...]] = {}
        self._waiting: dict[int, _Task] = {}
        self._questions = 0
        self._until = start_ns
        # Requests from outside and replies to them use one more index than there are elements.
        self.outside = Context(self, len(self.elements), "outside", "outside", {})
        self._outside_replies: dict[int, Callable[[Any], None]] = {}

    # -- what contexts and worlds call ---------------------------------------------------------------

    def start(self) -> None:
        """Begin every element's `start`, in name order, at the present instant."""
        for i, element in enumerate(self.elements):
            if self._process_of[i] == self.process:
                self._step(element.start(self._contexts[i]), self._contexts[i], i, 0, None)

    def index_of(self, name: str) -> int:
        """The number of the element called `name`; Problem("no-such-element") otherwise."""
        found = self._index.get(name)
        if found is None:
            raise Problem("no-such-element", f"no element is called {name!r}", element=name)
        return found

    def post(self, ctx: Context, to: str, msg: Message, after: int) -> None:
        target = self.index_of(to)
        due = self.now + after + self._latency(ctx, target)
        ctx.seq += 1
        self._put((due, ctx.index, ctx.seq, SAY, target, msg, 0))

    def post_question(self, ctx: Context, to: str, msg: Message, within: int) -> int:
        target = self.index_of(to)
        self._questions += 1
        correlation = self._questions
        ctx.seq += 2
        self._put((self.now + self._latency(ctx, target), ctx.index, ctx.seq, SAY, target, msg, correlation))
        heappush(self._heap, (self.now + within, ctx.index, ctx.seq - 1, EXPIRE, ctx.index, to, correlation))
        return correlation

    def publish(self, ctx: Context, subject: str, msg: Message) -> None:
        found = self._subscribers.get(subject)
        if found is None:
            found = self._subscribers[subject] = self._match(subject, type(msg))
        for target in found:
            ctx.seq += 1
            self._put((self.now + self._latency(ctx, target), ctx.index, ctx.seq, SAY, target, msg, 0))
        for watcher in self.watchers:
            watcher(subject, msg)

    def ask_from_outside(
        self, at: int, to: str, msg: Message, reply: Callable[[Any], None], seq: int | None = None
    ) -> int:
        """Enter a request stamped `at`; `reply` gets the answer or the `Problem`. Returns its count."""
        target = self.index_of(to)
        if self._process_of[target] != self.process:
            raise Problem("no-such-element", f"{to!r} lives in another process of this twin", element=to)
        self.outside.seq = self.outside.seq + 1 if seq is None else seq
        self._questions += 1
        self._outside_replies[self._questions] = reply
        entry = (at, self.outside.index, self.outside.seq, SAY, target, msg, self._questions)
        heappush(self._heap, entry)
        return self.outside.seq

    def abandon(self, reply: Callable[[Any], None]) -> None:
        """Forget an outside request whose asker has gone."""
        for correlation, waiting in list(self._outside_replies.items()):
            if waiting is reply:
                del self._outside_replies[correlation]

    def receive(self, frame: tuple[Any, ...]) -> None:
        """Take in an event that another process sent: (due, sender, count, kind, target, correlation,
        message name, payload)."""
        due, sender, count, kind, target, correlation, name, payload = frame
        body: Any = decode(name, payload) if name else payload
        if kind == REFUSE:
            body = Problem.from_dict(payload)
        if due < self.now:
            self.disorder += 1
        heappush(self._heap, (due, sender, count, kind, target, body, correlation))

    def hold(self, before: int) -> None:
        """Let the `run` that is going on stop ahead of instant `before` (a device owes a result then)."""
        self._until = min(self._until, before - 1)

    @property
    def next_due(self) -> int | None:
        """When the earliest waiting event is due."""
        return self._heap[0][0] if self._heap else None

    def run(self, until: int, limit: int | None = None) -> int:
        """Handle all events due up to and including `until`, `limit` at most; returns how many."""
        heap = self._heap
        tables = self._tables
        contexts = self._contexts
        before = self.handled
        last = before + limit if limit is not None else None
        self._until = until
        while heap and heap[0][0] <= self._until:
            due, sender, _, kind, target, payload, correlation = heappop(heap)
            self.now = due
            self.handled += 1
            if kind == SAY:
                handler = tables[target].get(type(payload))
                if handler is None:
                    self._misdirected(sender, target, payload, correlation)
                else:
                    ctx = contexts[target]
                    self._step(handler(ctx, payload), ctx, sender, correlation, None)
            elif kind == RESUME:
                self._step(payload[0].routine, payload[0].ctx, payload[0].target, payload[0].correlation, payload)
            else:
                self._settle(kind, target, payload, correlation)
            if last is not None and self.handled >= last:
                break
        return self.handled - before

    # -- stepping ------------------------------------------------------------------------------------

    def _step(self, routine: Any, ctx: Context, asker: int, correlation: int, resume: Any) -> None:
        try:
            if resume is None:
                request = routine.send(None)
            elif isinstance(resume[1], BaseException):
                request = routine.throw(resume[1])
            else:
                request = routine.send(resume[1])
        except StopIteration as end:
            if correlation:
                self._reply(ctx, asker, correlation, ANSWER, end.value)
            return
        except Problem as problem:
            if correlation:
                self._reply(ctx, asker, correlation, REFUSE, problem)
            else:
                ctx.log.warning("problem.unanswered", code=problem.code, detail=problem.detail)
            return
        except Exception as fault:
            if self.strict:
                raise
            self._crashed(ctx, asker, correlation, fault)
            return
        task = resume[0] if resume is not None else _Task(routine, ctx, asker, correlation)
        if type(request) is int:
            ctx.seq += 1
            heappush(self._heap, (request, ctx.index, ctx.seq, RESUME, ctx.index, (task, None), 0))
        elif type(request) is Ask:
            self._waiting[request.correlation] = task
        elif type(request) is Effect:
            self._submit(request, task)
        else:
            raise TypeError(f"{ctx!r} awaited something that is not of this kernel: {request!r}")

    def _crashed(self, ctx: Context, asker: int, correlation: int, fault: Exception) -> None:
        ctx.log.exception("handler.crashed", kind=type(fault).__name__)
        if correlation:
            self._reply(ctx, asker, correlation, REFUSE, Problem("internal", "a handler failed"))

    def _submit(self, effect: Effect, task: _Task) -> None:
        def done(result: Any) -> None:
            index = task.ctx.index
            heappush(self._heap, (effect.due, index, effect.seq, RESUME, index, (task, result), 0))

        self.devices.submit(effect.device, effect.operation, effect.due, done)

    def _reply(self, ctx: Context, asker: int, correlation: int, kind: int, value: Any) -> None:
        ctx.seq += 1
        if asker == self.outside.index:
            answer = self._outside_replies.pop(correlation, None)
            if answer is not None:
                answer(value)
            return
        self._put((self.now + self._latency(ctx, asker), ctx.index, ctx.seq, kind, asker, value, correlation))

    def _settle(self, kind: int, target: int, payload: Any, correlation: int) -> None:
        task = self._waiting.pop(correlation, None)
        if task is None:
            return
        if kind == EXPIRE:
            payload = Problem("deadline", f"{payload} did not answer in time", element=payload)
        self._step(task.routine, task.ctx, task.target, task.correlation, (task, payload))

    def _misdirected(self, sender: int, target: int, payload: Any, correlation: int) -> None:
        ctx = self._contexts[target]
        what = f"{self.elements[target].name} does not understand {type(payload).__name__}"
        ctx.log.error("message.misdirected", message=type(payload).__name__)
        if correlation:
            self._reply(ctx, sender, correlation, REFUSE, Problem("internal", what))

    # -- routing -------------------------------------------------------------------------------------

    def _put(self, entry: Entry) -> None:
        target = entry[4]
        if self._guarded[target] and entry[1] < len(self.elements):
            speaker = self.elements[entry[1]]
            if speaker.plane is not Plane.RESOURCE and entry[3] == SAY:
                raise PlaneViolation(
                    f"{speaker!r} is not of the resource plane and may not reach {self.elements[target]!r}"
                )
        if self._process_of[target] == self.process:
            heappush(self._heap, entry)
        else:
            self._send_away(entry)

    def _send_away(self, entry: Entry) -> None:
        due, sender, count, kind, target, payload, correlation = entry
        if self._post is None:
            raise ValueError("elements are spread over processes but the kernel has no post")
        name, body = "", payload
        if isinstance(payload, Message):
            name, body = name_of(type(payload)), encode(payload)
        elif isinstance(payload, Problem):
            body = payload.to_dict()
        frame = (due, sender, count, kind, target, correlation, name, body)
        self._post.send(self._process_of[target], frame)

    def _latency(self, ctx: Context, target: int) -> int:
        there = self.elements[target].place
        if ctx.place == there:
            return 0
        pair = (ctx.place, there)
        found = self._latencies.get(pair)
        if found is None:
            found = self._latencies[pair] = self._latency_of(*pair)
        return found

    def _match(self, subject: str, kind: type[Message]) -> tuple[int, ...]:
        return tuple(
            i
            for i, e in enumerate(self.elements)
            if kind in e.handlers and any(matches(pattern, subject) for pattern in e.subscribes)
        )


def matches(pattern: str, subject: str) -> bool:
    """NATS rules: `*` stands for one label, a final `>` for one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    for i, label in enumerate(wanted):
        if label == ">":
            return len(given) > i
        if i >= len(given) or label not in ("*", given[i]):
            return False
    return len(wanted) == len(given)


def answer_of(routine: Awaitable[Any]) -> Any:
    """Run a coroutine that never waits to its end and return its value (for tests of handlers)."""
    try:
        routine.send(None)  # type: ignore[attr-defined]
    except StopIteration as end:
        return end.value
    raise RuntimeError("the coroutine waits for something")
