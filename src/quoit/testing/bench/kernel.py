"""Messages per second: our kernel, asyncio in virtual time, SimPy; the same work in one run.

The work: a ring of actors. Each waits for a message and sends one on, to arrive a little later.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any

import simpy

from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.wire import Message, message

ACTORS = 1_000
DELAY_NS = 1_000


@message("bench.Token")
class Token(Message):
    """What goes round."""

    n: int


class Actor(Element):
    """Sends every token on to the next one."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE

    def __init__(self, number: int) -> None:
        super().__init__(f"actor{number}", "ring")
        self._next = f"actor{(number + 1) % ACTORS}"

    async def start(self, ctx: Context) -> None:
        ctx.tell(self._next, Token(0), after=DELAY_NS)

    @handles(Token)
    async def on_token(self, ctx: Context, msg: Token) -> None:
        ctx.tell(self._next, Token(msg.n + 1), after=DELAY_NS + msg.n % 7)


def kernel_rate(messages: int) -> float:
    """Messages per CPU second of our kernel."""
    kernel = Kernel([Actor(i) for i in range(ACTORS)])
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


def asyncio_rate(messages: int) -> float:
    """Messages per CPU second of asyncio tasks with queues, in virtual time."""
    loop = _VirtualLoop()
    left = messages

    async def actor(mine: asyncio.Queue[int], following: asyncio.Queue[int], done: asyncio.Event) -> None:
        nonlocal left
        while True:
            n = await mine.get()
            left -= 1
            if left == 0:
                done.set()
            loop.call_later((DELAY_NS + n % 7) * 1e-9, following.put_nowait, n + 1)

    async def main() -> None:
        done = asyncio.Event()
        queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(ACTORS)]
        tasks = [asyncio.create_task(actor(queues[i], queues[(i + 1) % ACTORS], done)) for i in range(ACTORS)]
        for queue in queues:
            queue.put_nowait(0)
        await done.wait()
        for task in tasks:
            task.cancel()

    began = time.process_time()
    loop.run_until_complete(main())
    took = time.process_time() - began
    loop.close()
    return messages / took


def simpy_rate(messages: int) -> float:
    """Messages per CPU second of SimPy processes with stores."""
    env = simpy.Environment()
    stores = [simpy.Store(env) for _ in range(ACTORS)]
    left = messages

    def send(following: Any, n: int) -> Any:
        yield env.timeout(DELAY_NS + n % 7)
        yield following.put(n + 1)

    def actor(mine: Any, following: Any, done: Any) -> Any:
        nonlocal left
        while True:
            n = yield mine.get()
            left -= 1
            if left == 0:
                done.succeed()
            env.process(send(following, n))

    done = env.event()
    for i in range(ACTORS):
        env.process(actor(stores[i], stores[(i + 1) % ACTORS], done))
        stores[i].put(0)
    began = time.process_time()
    env.run(done)
    return messages / (time.process_time() - began)
