"""The kernel steps handlers in the order (due, sender, sender's count), the same in every world.

That key needs no global counter, so several processes that hold parts of one scenario order the events
of each element alike. A kernel holds the elements of its own process; what goes to others leaves
through the `Post`. Who advances the time is the world's business (`virtual`, `live`).

Events are handled by *workers*: coroutines that take one event after the other and await its handler. As
long as no handler waits, one worker does all the work, and a handler costs no more than a call that is
awaited (driving each by `send` costs a StopIteration, several times as much). A handler that waits keeps
its worker with it, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from heapq import heappop
from typing import Any, ClassVar, Protocol

from quoit.model.problem import Problem
from quoit.runtime.agenda import COUNT_BITS, Agenda, Entry, order_of
from quoit.runtime.context import (
    ANSWER,
    EXPIRE,
    REFUSE,
    RESUME,
    SAY,
    Ask,
    Context,
    Device,
    Effect,
    Gather,
    Route,
    Sleep,
    suspend,
)
from quoit.runtime.element import Element, Plane
from quoit.runtime.instruments import Instruments
from quoit.runtime.trace import Sink
from quoit.runtime.wire import Message, decode, encode, name_of

Latency = Callable[[str, str], int]
Put = Callable[[int, Entry], None]
Carrier = Callable[[str, str, Put], Put]
"""Given sender, target and the sure way from one to the other: the way to use, which may lose, delay or repeat."""
Worker = Coroutine[Any, Any, None]

ENDLESS = 2**63
LIFE_BITS = COUNT_BITS - 8
"""Of a sender's count: so many things may a life of it send, and so may 256 lives."""
NEVER = -1


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


class AtOnce:
    """Devices of the virtual world: the operation is done before the call returns."""

    def submit(self, device: Device, operation: Any, due: int, done: Callable[[Any], None]) -> None:
        done(device.execute([operation])[0])


def no_latency(here: str, there: str) -> int:
    """Everything is next door."""
    return 0


class Kernel:
    """Elements of one process and the events that wait for them.

    `elements` are all elements of the scenario, in any order; all live here until `split`.
    `latency(place, place)` gives the classical path's delay in nanoseconds. Elements of one place speak without delay
    if they are of the same stratum and plane and neither is separable, and after `local_ns` if not.
    """

    context_class: ClassVar[type[Context]] = Context

    def __init__(
        self,
        elements: Iterable[Element],
        *,
        seed: int = 1,
        latency: Latency = no_latency,
        start_ns: int = 0,
        local_ns: int = 0,
    ) -> None:
        self.elements: list[Element] = sorted(elements, key=lambda e: e.name)
        self.seed = seed
        self.now = start_ns
        self.process = 0
        self.instruments = Instruments()
        self.sinks: list[Sink] = []
        self.watchers: list[Callable[[str, Message], None]] = []
        self.devices: Devices = AtOnce()
        self.handled = 0
        self.disorder = 0
        # A handler's fault stops a virtual run; a live twin logs it and goes on, unless memory has run out.
        self.strict = True
        self.carrier: Carrier | None = None
        self._down: set[int] = set()
        self._owed: dict[Worker, int] = {}
        self._enough = ENDLESS
        self._latency_of = latency
        self._local_ns = local_ns
        self._post: Post | None = None
        self._agenda = Agenda()
        self._until = start_ns
        self._index = {e.name: i for i, e in enumerate(self.elements)}
        if len(self._index) != len(self.elements):
            raise ValueError("two elements of one scenario share a name")
        self._process_of = [0] * len(self.elements)
        self._contexts = [
            self.context_class(self, i, e.name, e.place, {"stratum": str(e.stratum), "plane": str(e.plane)})
            for i, e in enumerate(self.elements)
        ]
        self._tables = [{kind: handler.__get__(e) for kind, handler in e.handlers.items()} for e in self.elements]
        self._listeners = [e for e in self.elements if e.subscribes]
        self._idle: list[Worker] = []
        # By question: the worker whose handler waits for the answer.
        self._waiting: dict[int, Worker] = {}
        self._questions = 0
        # Requests from outside and replies to them use one more index than there are elements, in each process its own.
        self.outside = Context(self, len(self.elements), "outside", "outside", {})
        self._outside_replies: dict[int, Callable[[Any], None]] = {}

    # -- what contexts and worlds call ---------------------------------------------------------------

    def start(self) -> None:
        """Begin the `start` of every element that lives here, in name order, at the present instant."""
        self._until = self.now - 1  # starts only: what they send is for `run`
        for ctx, element in zip(self._contexts, self.elements, strict=True):
            if self._process_of[ctx.index] == self.process:
                self._drive(self._begin(ctx, element.start(ctx)), None)

    def split(self, process_of: Callable[[Element], int], process: int, post: Post) -> None:
        """Go on with a share of the elements. Before `start`, these alone are started here. After it, all processes
        have come to this instant alike, each with all of them, so what waits for others' elements waits in their
        processes too and is dropped here.

        A message between processes must be on its way for longer than the post takes: two elements that speak without
        delay cannot live in two processes.
        """
        self._process_of = [process_of(e) for e in self.elements]
        self.process = process
        self._post = post
        self._agenda.keep(lambda entry: self._home_of(entry[2]) == process)
        self.outside = Context(self, len(self.elements) + process, "outside", "outside", {})
        for ctx in (*self._contexts, self.outside):
            ctx.forget_ways()

    def begin_life(self, life: int) -> None:
        """Before `start`, in a process that takes the place of one that has gone: what elements send here is numbered
        after all that their earlier lives can have sent, and no late answer to those is taken for one to these."""
        first = life << LIFE_BITS
        for ctx in (*self._contexts, self.outside):
            ctx.count_from(first)
        self._questions = first

    def _home_of(self, index: int) -> int:
        """The process of an element, or of the outside that asks there."""
        elements = len(self.elements)
        return self._process_of[index] if index < elements else index - elements

    def index_of(self, name: str) -> int:
        """The number of the element called `name`; Problem("no-such-element") otherwise."""
        found = self._index.get(name)
        if found is None:
            raise Problem("no-such-element", f"no element is called {name!r}", element=name)
        return found

    def question(self, ctx: Context, to: str, msg: Message, within: int) -> int:
        """Send a question of `ctx` and the end of its patience on their ways; returns the question's number."""
        target, latency, put = ctx.route(to)
        self._questions += 1
        correlation = self._questions
        expiry = ctx.next_order()
        put(self.now + latency, (ctx.next_order(), SAY, target, msg, correlation))
        self._agenda.put(self.now + within, (expiry, EXPIRE, ctx.index, to, correlation))
        return correlation

    def route(self, ctx: Context, to: str | int) -> Route:
        """The way from `ctx` to an element by name, or by index for replies: (index, latency, how to put)."""
        target = to if isinstance(to, int) else self.index_of(to)
        element = self.elements[target]
        if isinstance(to, str) and element.only_resource_plane and ctx is not self.outside:
            speaker = self.elements[ctx.index]
            if speaker.plane is not Plane.RESOURCE:
                raise PlaneViolation(f"{speaker!r} is not of the resource plane and may not reach {element!r}")
        latency = self._delay(ctx, element)
        put: Put = self._agenda.put if self._process_of[target] == self.process else self._send_away
        if self.carrier is not None and ctx is not self.outside:
            put = self.carrier(self.elements[ctx.index].name, element.name, put)
        return target, latency, put

    def _delay(self, ctx: Context, element: Element) -> int:
        if ctx.place != element.place:
            return self._latency_of(ctx.place, element.place)
        speaker = self.elements[ctx.index]
        near = speaker.stratum is element.stratum and speaker.plane is element.plane
        apart = (speaker.separable or element.separable) and speaker is not element
        return 0 if near and not apart else self._local_ns

    def audience(self, ctx: Context, subject: str, kind: type[Message]) -> tuple[Route, ...]:
        """The ways from `ctx` to all who subscribe to `subject` and understand `kind`."""
        return tuple(
            ctx.route(e.name)
            for e in self._listeners
            if kind in e.handlers and any(matches(pattern, subject) for pattern in e.subscribes)
        )

    def ask_from_outside(
        self, at: int, to: str, msg: Message, reply: Callable[[Any], None], seq: int | None = None
    ) -> int:
        """Enter a request stamped `at`; `reply` gets the answer or the `Problem`. Returns its count. To an element of
        another process it is a classical path's latency on its way, and so is the answer."""
        target = self.index_of(to)
        if seq is not None:
            self.outside.count_from(seq - 1)
        order = self.outside.next_order()
        self._questions += 1
        self._outside_replies[self._questions] = reply
        entry = (order, SAY, target, msg, self._questions)
        if self._process_of[target] == self.process:
            self._agenda.put(at, entry)
        else:
            self._send_away(at + self._latency_of(self.outside.place, self.elements[target].place), entry)
        return order & (1 << COUNT_BITS) - 1

    def abandon(self, reply: Callable[[Any], None]) -> None:
        """Forget an outside request whose asker has gone."""
        for correlation, waiting in list(self._outside_replies.items()):
            if waiting is reply:
                del self._outside_replies[correlation]

    def receive(self, frame: tuple[Any, ...]) -> None:
        """Take in an event that another process sent: (due, sender, count, kind, target, correlation,
        message name, payload). One that comes after its due time is handled at the present instant, and counted in
        `disorder`: time never goes back. What the outside asks and hears has no place in the order to miss."""
        due, sender, count, kind, target, correlation, name, payload = frame
        body: Any = decode(name, payload) if name else payload
        if kind == REFUSE:
            body = Problem.from_dict(payload)
        if due < self.now:
            self.disorder += max(sender, target) < len(self.elements)
            due = self.now
        self._agenda.put(due, (order_of(sender, count), kind, target, body, correlation))

    def hold(self, before: int) -> None:
        """Let the `run` that is going on stop ahead of instant `before` (a device owes a result then)."""
        self._until = min(self._until, before - 1)
        if self._agenda.due >= before:
            self.handled -= self._agenda.close()

    @property
    def next_due(self) -> int | None:
        """When the earliest waiting event is due."""
        return self._agenda.next_due

    def run(self, until: int, limit: int | None = None) -> int:
        """Handle all events due up to and including `until`; returns how many. Begins no further instant
        once `limit` events have been handled."""
        before = self.handled
        self._until = until
        self._enough = ENDLESS if limit is None else before + limit
        self._drive(self._idle.pop() if self._idle else self._work(), None)
        return self.handled - before

    # -- elements that fail --------------------------------------------------------------------------

    def crash(self, name: str) -> None:
        """Between events: an element is gone, with all that it was about to do. What is said to it is lost."""
        index = self.index_of(name)
        self._down.add(index)
        self._tables[index] = {}
        self._agenda.keep(lambda entry: not self._belongs(index, entry))
        for worker in [worker for worker, owner in self._owed.items() if owner == index]:
            del self._owed[worker]
            worker.close()

    def _belongs(self, index: int, entry: Entry) -> bool:
        """Whether this entry resumes a handler of the element; ends the handler if so."""
        _, kind, target, payload, correlation = entry
        if target != index or kind == SAY:
            return False
        worker = payload[0] if kind == RESUME else self._waiting.pop(correlation, None)
        if worker is not None:
            worker.close()
        return True

    def revive(self, element: Element) -> None:
        """Between events: a new element takes the place of the one of its name that crashed, and starts."""
        index = self.index_of(element.name)
        self._down.discard(index)
        self.elements[index] = element
        self._tables[index] = {kind: handler.__get__(element) for kind, handler in element.handlers.items()}
        self._until = self.now - 1
        self._drive(self._begin(self._contexts[index], element.start(self._contexts[index])), None)

    # -- workers -------------------------------------------------------------------------------------

    def _drive(self, worker: Worker, value: Any) -> None:
        """Let `worker` go on with `value`, and others after it, until no event is due."""
        while True:
            request = worker.throw(value) if isinstance(value, BaseException) else worker.send(value)
            if request is None:
                self._idle.append(worker)
                return
            if type(request) is tuple:  # this worker is at leisure: another one's waiting is over
                self._idle.append(worker)
                worker, value = request
                continue
            if type(request) is Ask:
                self._waiting[request.correlation] = worker
            elif type(request) is Gather:
                self._waiting.update(dict.fromkeys(request.correlations, worker))
            elif type(request) is Sleep:
                order, index = request.ctx.next_order(), request.ctx.index
                self._agenda.put(request.due, (order, RESUME, index, (worker, None), 0))
            elif type(request) is Effect:
                self._submit(request, worker)
            else:
                raise TypeError(f"a handler awaited something that is not of this kernel: {request!r}")
            worker, value = self._idle.pop() if self._idle else self._work(), None

    def _submit(self, effect: Effect, worker: Worker) -> None:
        self._owed[worker] = effect.index

        def done(result: Any) -> None:
            if self._owed.pop(worker, None) is None:
                return  # its element has crashed meanwhile
            self._agenda.put(effect.due, (effect.order, RESUME, effect.index, (worker, result), 0))

        self.devices.submit(effect.device, effect.operation, effect.due, done)

    async def _begin(self, ctx: Context, first: Awaitable[Any]) -> None:
        """A worker whose first work is an element's `start`."""
        try:
            await first
        except Exception as fault:  # noqa: BLE001 - border of an element: its faults are answers or are logged
            self._failed(ctx, 0, 0, fault)
        await self._work()

    async def _work(self) -> None:
        """A worker: handles events, for ever; gives None to `_drive` when nothing is due."""
        agenda, tables, contexts = self._agenda, self._tables, self._contexts
        late = agenda.late
        while True:
            slot = agenda.slot
            if late and (not slot or late[0] < slot[-1]):
                order, kind, target, payload, correlation = heappop(late)
                self.handled += 1
            elif slot:
                order, kind, target, payload, correlation = slot.pop()
            else:
                opened = agenda.open(self._until if self.handled < self._enough else NEVER)
                if opened:
                    self.now = agenda.due
                    self.handled += opened
                else:
                    await suspend(None)
                continue
            if kind == SAY:
                ctx = contexts[target]
                handler = tables[target].get(type(payload))
                if handler is None:
                    self._misdirected(order >> COUNT_BITS, target, payload, correlation)
                    continue
                try:
                    answer = await handler(ctx, payload)
                except Exception as fault:  # noqa: BLE001 - border of an element, as above
                    self._failed(ctx, order >> COUNT_BITS, correlation, fault)
                else:
                    if correlation:
                        self._reply(ctx, order >> COUNT_BITS, correlation, ANSWER, answer)
            elif kind == RESUME:
                await suspend(payload)
            else:
                waiting = self._waiting.pop(correlation, None)
                if waiting is not None:
                    await suspend((waiting, _deadline(payload) if kind == EXPIRE else payload))
                elif target >= len(contexts):
                    self._tell_outside(correlation, payload)

    def _failed(self, ctx: Context, asker: int, correlation: int, fault: Exception) -> None:
        """A handler ended with an exception: a `Problem` is an answer, all else is a fault of ours."""
        if isinstance(fault, Problem):
            if correlation:
                self._reply(ctx, asker, correlation, REFUSE, fault)
            else:
                ctx.log.warning("problem.unanswered", code=fault.code, detail=fault.detail)
            return
        if self.strict or isinstance(fault, MemoryError):
            # Memory may end between any two steps of a handler: what the element knows is half of what it should be.
            raise fault
        ctx.log.error("handler.crashed", kind=type(fault).__name__, exc_info=fault)
        if correlation:
            self._reply(ctx, asker, correlation, REFUSE, Problem("internal", "a handler failed"))

    def _reply(self, ctx: Context, asker: int, correlation: int, kind: int, value: Any) -> None:
        order = ctx.next_order()
        if asker == self.outside.index:
            self._tell_outside(correlation, value)
            return
        if asker >= len(self.elements):
            latency = self._latency_of(self.outside.place, ctx.place)
            self._send_away(self.now + latency, (order, kind, asker, value, correlation))
            return
        _, latency, put = ctx.route(asker)
        put(self.now + latency, (order, kind, asker, value, correlation))

    def _tell_outside(self, correlation: int, value: Any) -> None:
        answer = self._outside_replies.pop(correlation, None)
        if answer is not None:
            answer(value)

    def _misdirected(self, sender: int, target: int, payload: Any, correlation: int) -> None:
        if target in self._down:
            return
        ctx = self._contexts[target]
        what = f"{self.elements[target].name} does not understand {type(payload).__name__}"
        ctx.log.error("message.misdirected", message=type(payload).__name__)
        if correlation:
            self._reply(ctx, sender, correlation, REFUSE, Problem("internal", what))

    def _send_away(self, due: int, entry: Entry) -> None:
        order, kind, target, payload, correlation = entry
        if self._post is None:
            raise ValueError("elements are spread over processes but the kernel has no post")
        name, body = "", payload
        if isinstance(payload, Message):
            name, body = name_of(type(payload)), encode(payload)
        elif isinstance(payload, Problem):
            body = payload.to_dict()
        sender, count = order >> COUNT_BITS, order & (1 << COUNT_BITS) - 1
        self._post.send(self._home_of(target), (due, sender, count, kind, target, correlation, name, body))


def _deadline(element: str) -> Problem:
    return Problem("deadline", f"{element} did not answer in time", element=element)


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
