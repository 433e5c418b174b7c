"""All that an element sees of the world."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import structlog

from quoit.model.problem import Problem
from quoit.runtime import seeds
from quoit.runtime.agenda import Entry, order_of
from quoit.runtime.trace import Event
from quoit.runtime.wire import Message

if TYPE_CHECKING:
    from quoit.runtime.kernel import Kernel

SAY, ANSWER, REFUSE, RESUME, EXPIRE = range(5)
"""Kinds of entries: a message, an answer or a refusal to a question, a waiting that ends, patience that ends."""


class Device(Protocol):
    """Something outside that takes its time, such as a store: it runs batches of operations.

    `execute` may be called from another thread in a live world, never from two at once. It returns one
    result per operation, in order; a result that is an exception is raised where the operation was asked.
    An exception out of `execute` says that the device can do nothing any more: the world ends with it.
    """

    def execute(self, batch: list[Any]) -> list[Any]: ...


Route = tuple[int, int, Callable[[int, Entry], None]]
"""(target's index, latency in nanoseconds, what puts an entry (due, entry) on its way)"""


class Ask:
    """A question on its way: what a handler's coroutine yields to the kernel while it waits."""

    __slots__ = ("correlation",)

    def __init__(self, correlation: int) -> None:
        self.correlation = correlation


class Gather:
    """Several questions on their way: yielded to the kernel, which resumes the coroutine with each answer as it comes.
    Yielded again with none, the coroutine waits for the next one."""

    __slots__ = ("correlations",)

    def __init__(self, correlations: tuple[int, ...]) -> None:
        self.correlations = correlations


class Sleep:
    """Yielded to the kernel, which resumes the coroutine at `due`."""

    __slots__ = ("ctx", "due")

    def __init__(self, ctx: Context, due: int) -> None:
        self.ctx = ctx
        self.due = due


class Effect:
    """An operation handed to a device: yielded to the kernel, which resumes the coroutine with the result."""

    __slots__ = ("device", "due", "index", "operation", "order")

    def __init__(self, device: Device, operation: Any, due: int, index: int, order: int) -> None:
        self.device = device
        self.operation = operation
        self.due = due
        self.index = index
        self.order = order


@types.coroutine
def suspend(request: Any) -> Generator[Any, Any, Any]:
    """Give `request` to the kernel and wait for what it sends back."""
    return (yield request)


class Context:
    """The world as one element sees it. Times are integer nanoseconds since the scenario's start."""

    __slots__ = (
        "_audiences",
        "_generators",
        "_kernel",
        "_name",
        "_order",
        "_routes",
        "emitted",
        "index",
        "log",
        "place",
    )

    def __init__(self, kernel: Kernel, index: int, name: str, place: str, log_fields: dict[str, str]) -> None:
        self._kernel = kernel
        self._name = name
        self.index = index
        self.place = place
        self.emitted = 0
        self._order = order_of(index, 0)
        self._routes: dict[str | int, Route] = {}
        self._audiences: dict[tuple[str, type[Message]], tuple[Route, ...]] = {}
        self._generators: dict[str, np.random.Generator] = {}
        self.log = structlog.get_logger("quoit").bind(element=name, **log_fields)

    @property
    def now(self) -> int:
        """The due time of the event being handled, never the wall clock."""
        return self._kernel.now

    def tell(self, to: str, msg: Message, after: int = 0) -> None:
        """Send `msg`; it arrives after the classical path's latency plus `after` nanoseconds."""
        try:
            target, latency, put = self._routes[to]
        except KeyError:
            target, latency, put = self.route(to)
        self._order = order = self._order + 1
        put(self._kernel.now + after + latency, (order, SAY, target, msg, 0))

    async def ask(self, to: str, msg: Message, *, within: int) -> Any:
        """Send `msg` and wait for the reply. Raises the `Problem` that the other end raised, or
        `Problem("deadline")` if none came `within` nanoseconds."""
        return await suspend(Ask(self._kernel.question(self, to, msg, within)))

    async def ask_all(self, questions: Iterable[tuple[str, Message]], *, within: int) -> list[Any]:
        """Ask several elements at once. The replies in the order in which they come; a `Problem` that one raised, or
        that stands for its silence, is among them and is not raised."""
        waiting = tuple(self._kernel.question(self, to, msg, within) for to, msg in questions)
        missing, replies = len(waiting), list[Any]()
        while missing:
            try:
                replies.append(await suspend(Gather(waiting)))
            except Problem as problem:
                replies.append(problem)
            waiting, missing = (), missing - 1
        return replies

    async def sleep(self, duration: int) -> None:
        """Wait `duration` nanoseconds of simulated time."""
        await suspend(Sleep(self, self._kernel.now + duration))

    async def sleep_until(self, due: int) -> None:
        """Wait until simulated time `due`; at once if it has passed."""
        await suspend(Sleep(self, max(due, self._kernel.now)))

    async def effect(self, device: Device, operation: Any, takes: int) -> Any:
        """Let `device` do `operation`, which takes `takes` nanoseconds of simulated time.

        The live world holds the kernel at that instant until the device has really answered: a slow
        disk makes the twin late, never wrong.
        """
        return await suspend(Effect(device, operation, self._kernel.now + takes, self.index, self.next_order()))

    def publish(self, subject: str, msg: Message) -> None:
        """Give news to every subscriber of `subject` (dot-separated labels), each after its path's latency."""
        kernel = self._kernel
        news = subject, type(msg)
        audience = self._audiences.get(news)
        if audience is None:
            audience = self._audiences[news] = kernel.audience(self, *news)
        for target, latency, put in audience:
            self._order = order = self._order + 1
            put(kernel.now + latency, (order, SAY, target, msg, 0))
        for watcher in kernel.watchers:
            watcher(subject, msg)

    def emit(self, event: str, /, **fields: Any) -> None:
        """Write one entry of the run's event log. Fields are plain values, never secrets."""
        self.emitted += 1
        kernel = self._kernel
        if kernel.sinks:
            entry = Event(kernel.now, self._name, self.emitted, event, fields)
            for sink in kernel.sinks:
                sink(entry)

    def rng(self, purpose: str) -> np.random.Generator:
        """This element's own stream of random numbers for `purpose`."""
        found = self._generators.get(purpose)
        if found is None:
            found = self._generators[purpose] = seeds.generator(self._kernel.seed, self._name, purpose)
        return found

    def count(self, metric: str, labels: tuple[str, ...] = (), by: float = 1.0) -> None:
        """Add to a counter of the metric table."""
        self._kernel.instruments.count(metric, labels, by)

    def gauge(self, metric: str, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge of the metric table."""
        self._kernel.instruments.gauge(metric, labels, value)

    def forget(self, metric: str, labels: tuple[str, ...]) -> None:
        """End a series of the metric table."""
        self._kernel.instruments.forget(metric, labels)

    def spawn(self, msg: Message) -> None:
        """Start work of one's own beside the current handler: `msg` to oneself, at once."""
        self.tell(self._name, msg)

    # -- for the kernel ------------------------------------------------------------------------------

    def route(self, to: str | int) -> Route:
        """The way to an element, found once. Raises Problem("no-such-element")."""
        found = self._routes.get(to)
        if found is None:
            found = self._routes[to] = self._kernel.route(self, to)
        return found

    def forget_ways(self) -> None:
        """Look for every element anew: some have moved to other processes."""
        self._routes.clear()
        self._audiences.clear()

    def next_order(self) -> int:
        """The order of the next thing that this element sends."""
        self._order = order = self._order + 1
        return order

    def count_from(self, count: int) -> None:
        """Let the next thing sent be number `count` + 1 (a replay gives recorded numbers)."""
        self._order = order_of(self.index, count)
