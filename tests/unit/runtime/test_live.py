"""The live world: never early, at the speed that was asked for, held where a device owes a result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LATENESS, LiveWorld, LoopTimer, Timer, best_timer
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message, message

MS = 1_000_000
MakeTimer = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Timer]


@message("test.Tick")
class Tick(Message):
    number: int


@message("test.Store")
class Store(Message):
    number: int


@message("test.Done")
class Done(Message):
    at_ns: int


class Clock(Element):
    """Ticks every millisecond and notes the host's time of each tick, too."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, ticks: int = 6) -> None:
        super().__init__("clock", "here")
        self._ticks = ticks
        self.heard: list[tuple[int, int]] = []

    async def start(self, ctx: Context) -> None:
        for number in range(1, self._ticks + 1):
            ctx.tell(self.name, Tick(number), after=number * MS)

    @handles(Tick)
    async def on_tick(self, ctx: Context, msg: Tick) -> None:
        self.heard.append((ctx.now, time.monotonic_ns()))
        ctx.publish("ticks", msg)

    @handles(Store)
    async def on_store(self, ctx: Context, msg: Store) -> Done:
        if msg.number < 0:
            raise Problem("bad-size")
        return Done(ctx.now)


class EagerTimer:
    """Fires at once, whatever it is armed for: only the due check is left to keep the world honest."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fire: Callable[[], None]) -> None:
        self._loop, self._fire = loop, fire
        self.fired = 0

    def arm(self, at_ns: int) -> None:
        self.fired += 1
        self._loop.call_soon(self._fire)

    def close(self) -> None:
        pass


def live(kernel: Kernel, until_ns: int, **options: Any) -> tuple[LiveWorld, int]:
    """Run to `until_ns` in a live world; the world, and the monotonic time of its instant 0."""

    async def main() -> tuple[LiveWorld, int]:
        world = LiveWorld(kernel, **options)
        kernel.start()
        base = time.monotonic_ns()
        world.begin(wall_ns=base, stop_at=until_ns)
        await world.ended()
        world.end()
        return world, base

    return asyncio.run(main())


@pytest.mark.realises("F1", "F4")
@pytest.mark.parametrize("timer", [best_timer, LoopTimer, EagerTimer])
@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_nothing_is_early_at_any_speed_on_any_timer(timer: MakeTimer, speed: float) -> None:
    clock = Clock()
    kernel = Kernel([clock])
    world, base = live(kernel, 7 * MS, speed=speed, timer=timer)
    assert [now for now, _ in clock.heard] == [n * MS for n in range(1, 7)]
    assert all((wall - base) * speed >= now for now, wall in clock.heard)
    assert kernel.now == 7 * MS
    assert kernel.instruments.histograms[LATENESS, ()].count > 0
    assert world.worst_lateness_s >= 0


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        LiveWorld(Kernel([]), speed=0)


@pytest.mark.realises("F4")
def test_a_run_that_falls_behind_its_bound_is_not_faithful() -> None:
    world, _ = live(Kernel([Clock()]), 7 * MS, bound_s=-1.0)  # any lateness is beyond it
    assert not world.faithful
    world, _ = live(Kernel([Clock()]), 7 * MS, bound_s=1e9)
    assert world.faithful


class Slow:
    """A device that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def execute(self, batch: list[Any]) -> list[Any]:
        assert self.go.wait(20)
        return [2 * operation for operation in batch]


class Keeper(Element):
    """Hands one operation to its device at 2 ms; it takes 1.5 ms of simulated time."""

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE

    def __init__(self, device: Any, log: list[tuple[int, str]]) -> None:
        super().__init__("keeper", "here")
        self._device, self._log = device, log

    async def start(self, ctx: Context) -> None:
        await ctx.sleep_until(2 * MS)
        self._log.append((ctx.now, "asks"))
        value = await ctx.effect(self._device, 21, 3 * MS // 2)
        self._log.append((ctx.now, f"has {value}"))


class Ticker(Element):
    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, log: list[tuple[int, str]]) -> None:
        super().__init__("ticker", "here")
        self._log = log

    async def start(self, ctx: Context) -> None:
        for n in range(1, 7):
            await ctx.sleep_until(n * MS)
            self._log.append((ctx.now, "tick"))


@pytest.mark.realises("F1", "F4")
def test_a_slow_device_makes_the_twin_late_and_never_wrong() -> None:
    device = Slow()
    device.go.set()
    expected: list[tuple[int, str]] = []
    virtual = VirtualWorld(Kernel([Keeper(device, expected), Ticker(expected)]))
    virtual.begin()
    virtual.run_until(7 * MS)
    device.go.clear()
    log: list[tuple[int, str]] = []

    async def main() -> list[tuple[int, str]]:
        kernel = Kernel([Keeper(device, log), Ticker(log)])
        world = LiveWorld(kernel)
        kernel.start()
        world.begin(stop_at=7 * MS)
        while world.now_ns() < 10 * MS:
            await asyncio.sleep(0)
        for _ in range(100):  # Turns of the loop, so that a busy machine has come to all that was due.
            await asyncio.sleep(0)
        held = log.copy()
        device.go.set()
        await world.ended()
        world.end()
        return held

    held = asyncio.run(main())
    # Everything up to the instant at which the device owes its result, and nothing beyond.
    assert held == [entry for entry in expected if entry[0] < 3_500_000]
    assert log == expected


def test_a_device_that_breaks_ends_the_world_with_its_fault() -> None:
    class Broken:
        def execute(self, batch: list[Any]) -> list[Any]:
            raise OSError("no disk")

    class Hopeful(Element):
        stratum, plane = Stratum.SERVICE, Plane.RESOURCE
        went_on = False

        async def start(self, ctx: Context) -> None:
            await ctx.sleep(MS)
            await ctx.effect(Broken(), 1, MS)
            self.went_on = True

    hopeful = Hopeful("hopeful", "here")
    with pytest.raises(OSError, match="no disk"):
        live(Kernel([hopeful]), 3 * MS)
    assert not hopeful.went_on


def test_a_fault_of_the_kernel_ends_the_world() -> None:
    class Sick(Kernel):
        def run(self, until: int, limit: int | None = None) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        live(Sick([Clock()]), 3 * MS)


def test_a_handler_that_runs_out_of_memory_ends_the_world() -> None:
    """Other faults of a handler are its own; this one may have stopped it between any two steps."""

    class Hungry(Element):
        stratum, plane = Stratum.FABRIC, Plane.RESOURCE
        fault: type[Exception] = MemoryError

        async def start(self, ctx: Context) -> None:
            await ctx.sleep(MS)
            raise self.fault

    with pytest.raises(MemoryError):
        live(Kernel([Hungry("hungry", "here")]), 3 * MS)
    Hungry.fault = ZeroDivisionError
    live(Kernel([Hungry("hungry", "here")]), 3 * MS)


def test_requests_are_stamped_recorded_answered_and_refused() -> None:
    recorded: list[tuple[int, int, str, Message]] = []

    async def main() -> None:
        kernel = Kernel([Clock()])
        world = LiveWorld(kernel, epoch_unix_s=1000.0, record=lambda *entry: recorded.append(entry))
        with pytest.raises(Problem) as early:
            await world.ask("clock", Store(1))
        assert early.value.code == "not-ready"
        kernel.start()
        world.begin()
        before = world.now_ns()
        done: Done = await world.ask("clock", Store(1))
        assert before <= done.at_ns <= world.now_ns()
        for bad, code in (("clock", "bad-size"), ("nobody", "no-such-element")):
            with pytest.raises(Problem) as refused:
                await world.ask(bad, Store(-1))
            assert refused.value.code == code
        assert world.unix_s(5_000_000_000) == 1005.0
        world.end()

    asyncio.run(main())
    assert [(to, msg) for _, _, to, msg in recorded] == [("clock", Store(1)), ("clock", Store(-1))]
    assert recorded[0][0] <= recorded[1][0]
    assert recorded[0][1] < recorded[1][1]


def test_an_answer_that_does_not_come_is_a_deadline_of_the_host() -> None:
    device = Slow()

    class Stuck(Element):
        stratum, plane = Stratum.SERVICE, Plane.RESOURCE

        @handles(Store)
        async def on_store(self, ctx: Context, msg: Store) -> Done:
            await ctx.effect(device, 1, MS)
            return Done(ctx.now)

    async def main() -> str:
        world = LiveWorld(Kernel([Stuck("stuck", "here")]))
        world.begin()
        try:
            await world.ask("stuck", Store(1), within_s=0.01)
        except Problem as problem:
            return problem.code
        finally:
            device.go.set()
            world.end()
        return "answered"

    assert asyncio.run(main()) == "deadline"


@pytest.mark.realises("F3")
def test_watchers_hear_the_news_of_their_kind() -> None:
    async def main() -> list[Message]:
        kernel = Kernel([Clock()])
        world = LiveWorld(kernel)
        heard: list[Message] = []

        async def watch() -> None:
            async for news in world.watch(Tick):
                heard.append(news)  # noqa: PERF401 - the watch never ends by itself

        watcher = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        kernel.start()
        world.begin(stop_at=7 * MS)
        await world.ended()
        while len(heard) < 6:
            await asyncio.sleep(0)
        watcher.cancel()
        world.end()
        return heard

    assert asyncio.run(asyncio.wait_for(main(), 20)) == [Tick(n) for n in range(1, 7)]
