"""Virtual time for coroutines that wait for nothing but it, and for hosts whose programs take none.

One thing happens at a time, in the order (due, order of entry); a program runs while all else stands still. So a seed
gives the same run however fast the machine is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        self.act = None


class Signal:
    """What a coroutine can wait for, once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[Coroutine[Any, Any, None]] = []
        self.given = False

    def give(self) -> None:
        """Let those who wait go on at this instant. Again: nothing."""
        self.given = True
        waiting, self._tasks = self._tasks, []
        for task in waiting:
            self._clock.after(0, lambda task=task: self._clock.resume(task))  # type: ignore[misc]

    def hold(self, task: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(task)

    def __await__(self) -> Generator[Signal, None, None]:
        if not self.given:
            yield self


class Clock:
    """Integer ns from 0."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Timer]] = []
        self._entered = 0
        self._jobs: dict[Coroutine[Any, Any, None], Callable[[], None] | None] = {}

    def after(self, duration_ns: int, act: Callable[[], None]) -> Timer:
        """`act` that much later; of one instant, in the order of entry."""
        if duration_ns < 0:
            raise ValueError(f"expected a duration >= 0 ns, found {duration_ns}")
        timer = Timer(act)
        self._entered += 1
        heapq.heappush(self._heap, (self.now_ns + duration_ns, self._entered, timer))
        return timer

    def spawn(self, job: Coroutine[Any, Any, None], delay_ns: int = 0, then: Callable[[], None] | None = None) -> None:
        """Begin a coroutine after a delay; `then` is called when it is over."""
        self._jobs[job] = then
        self.after(delay_ns, lambda: self.resume(job))

    def resume(self, job: Coroutine[Any, Any, None]) -> None:
        """Let it run up to the next thing it waits for."""
        try:
            signal = job.send(None)
        except StopIteration:
            then = self._jobs.pop(job)
            if then is not None:
                then()
            return
        signal.hold(job)

    def close(self) -> None:
        """End all coroutines where they are; nothing will happen any more."""
        self._heap.clear()
        for job in self._jobs:
            job.close()
        self._jobs.clear()

    async def sleep(self, duration_ns: int) -> None:
        if duration_ns > 0:
            signal = Signal(self)
            self.after(duration_ns, signal.give)
            await signal

    @property
    def entered(self) -> int:
        """How many things have been entered so far: a sign of life."""
        return self._entered

    def next_ns(self) -> int | None:
        """When the next thing happens; None if nothing does."""
        while self._heap and self._heap[0][2].act is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def step(self) -> bool:
        """Let the next thing happen. False if there is none."""
        due = self.next_ns()
        if due is None:
            return False
        timer = heapq.heappop(self._heap)[2]
        self.now_ns = due
        assert timer.act is not None
        timer.act()
        return True


class VirtualPace:
    """`Pace` of the nodes: time stands still while a host runs, and one host runs at a time.

    `begin` starts a host. `over` is called when the last one has ended, or with what went wrong. `host_ns`: from a host
    to its node.
    """

    def __init__(self, clock: Clock, over: Callable[[BaseException | None], None], host_ns: int = 0) -> None:
        self._clock, self._over, self._host_ns = clock, over, host_ns
        self._running: set[str] = set()
        self._alive: set[str] = set()

    @property
    def running(self) -> frozenset[str]:
        """Hosts that time waits for."""
        return frozenset(self._running)

    def begin(self, host: str, start: Callable[[], None]) -> None:
        """Let a host run as soon as those before it wait."""
        self._alive.add(host)

        def go() -> None:
            self._running.add(host)
            start()

        self._clock.after(0, go)

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        self._clock.spawn(job, self._host_ns)

    def asked(self, host: str, waits: bool) -> None:
        if waits:
            self._running.discard(host)

    def answered(self, host: str) -> None:
        if host in self._alive:
            self._running.add(host)

    def left(self, host: str, clear: Coroutine[Any, Any, None]) -> None:
        self._running.discard(host)
        self._clock.spawn(clear, then=lambda: self._alive.discard(host))

    def settle(self) -> None:
        try:
            while not self._running and self._alive:
                if not self._clock.step():
                    raise RuntimeError(f"nothing will ever happen, and {', '.join(sorted(self._alive))} wait")
            if not self._alive:
                self._over(None)
        except Exception as fault:  # noqa: BLE001  the border of the run: it is told, and raised there
            self._over(fault)
