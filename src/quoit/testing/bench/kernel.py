"""Messages per second: our kernel, asyncio in virtual time, SimPy; the same work in one run.

The work: a ring of actors. Each waits for a message, which is an immutable object; it is handled by the
`async def` that is there for its type (SimPy, which has no such thing, handles it in the process), and
one is sent on, to arrive a little later. In step, all arrive at the same instants, as in a network with
readings each second; scattered, hardly two do.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

import simpy

from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.wire import Message, message

ACTORS = 1_000
DELAY_NS = 1_000

ROUND = 7

Delays = Callable[[int], tuple[int, ...]]
"""The delays that an actor of this number uses in turn, `ROUND` of them."""


def in_step(actor: int) -> tuple[int, ...]:
    """All actors send as late as the others do."""
    return tuple(DELAY_NS + n for n in range(ROUND))


def scattered(actor: int) -> tuple[int, ...]:
    """Delays of one to a hundred times `DELAY_NS`, by number of actor and turn."""
    return tuple(DELAY_NS + (actor * 7919 + n * 104729) % 100_003 for n in range(ROUND))


@message("bench.Token")
class Token(Message):
    """What goes round."""

    n: int


class Actor(Element):
    """Sends every token on to the next one."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE

    def __init__(self, number: int, delays: Delays) -> None:
        super().__init__(f"actor{number}", "ring")
        self._delays = delays(number)
        self._next = f"actor{(number + 1) % ACTORS}"

    async def start(self, ctx: Context) -> None:
        ctx.tell(self._next, Token(0), after=DELAY_NS)

    @handles(Token)
    async def on_token(self, ctx: Context, msg: Token) -> None:
        ctx.tell(self._next, Token(msg.n + 1), after=self._delays[msg.n % ROUND])


def kernel_rate(messages: int, delays: Delays) -> float:
    """Messages per CPU second of our kernel."""
    kernel = Kernel([Actor(i, delays) for i in range(ACTORS)])
    kernel.start()
    began = time.process_time()
    done = kernel.run(2**62, limit=messages)
    return done / (time.process_time() - began)


class _Jump(selectors.SelectSelector):
    """A selector that lets virtual time jump instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout:
            self.now += timeout
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.jump.now


class _Countdown:
    """Sets `done` when as many messages as wanted have been handled."""

    def __init__(self, messages: int, done: Any) -> None:
        self._left = messages
        self._done = done

    def one(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._done()


class _AsyncioActor:
    """The same actor on asyncio: a task with a queue."""

    def __init__(self, number: int, delays: Delays, countdown: _Countdown) -> None:
        self.queue: asyncio.Queue[Token] = asyncio.Queue()
        self.next: asyncio.Queue[Token] = self.queue
        self._delays = delays(number)
        self._countdown = countdown
        self._loop = asyncio.get_running_loop()
        self._handlers = {Token: self.on_token}

    async def run(self) -> None:
        while True:
            msg = await self.queue.get()
            await self._handlers[type(msg)](msg)
            self._countdown.one()

    async def on_token(self, msg: Token) -> None:
        self._loop.call_later(self._delays[msg.n % ROUND] * 1e-9, self.next.put_nowait, Token(msg.n + 1))


def asyncio_rate(messages: int, delays: Delays) -> float:
    """Messages per CPU second of asyncio tasks with queues, in virtual time."""
    loop = _VirtualLoop()

    async def main() -> None:
        done = asyncio.Event()
        countdown = _Countdown(messages, done.set)
        actors = [_AsyncioActor(i, delays, countdown) for i in range(ACTORS)]
        for i, actor in enumerate(actors):
            actor.next = actors[(i + 1) % ACTORS].queue
        tasks = [asyncio.create_task(actor.run()) for actor in actors]
        for actor in actors:
            actor.queue.put_nowait(Token(0))
        await done.wait()
        for task in tasks:
            task.cancel()

    began = time.process_time()
    loop.run_until_complete(main())
    took = time.process_time() - began
    loop.close()
    return messages / took


def simpy_rate(messages: int, delays: Delays) -> float:
    """Messages per CPU second of SimPy processes with stores."""
    env = simpy.Environment()
    stores = [simpy.Store(env) for _ in range(ACTORS)]
    done = env.event()
    countdown = _Countdown(messages, done.succeed)

    def send(following: Any, after: int, msg: Message) -> Any:
        yield env.timeout(after)
        yield following.put(msg)

    def actor(number: int) -> Any:
        mine, following, turns = stores[number], stores[(number + 1) % ACTORS], delays(number)
        while True:
            msg = yield mine.get()
            env.process(send(following, turns[msg.n % ROUND], Token(msg.n + 1)))
            countdown.one()

    for i in range(ACTORS):
        env.process(actor(i))
        stores[i].put(Token(0))
    began = time.process_time()
    env.run(done)
    return messages / (time.process_time() - began)
