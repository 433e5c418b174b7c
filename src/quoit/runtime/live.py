"""The live world: simulated time follows the host's monotonic clock; nothing is ever early.

One timer is armed for the kernel's earliest event. When it fires, everything due by now is handled *at
its due time*. Requests from outside are stamped with their arrival time. The only module of the core
that touches clocks, threads and asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import platform
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import structlog

from quoit.model.problem import Problem
from quoit.runtime.context import Device
from quoit.runtime.gate import Missed
from quoit.runtime.kernel import Kernel
from quoit.runtime.wire import Message

_log = structlog.get_logger("quoit", element="runtime.live")

WATCH_QUEUE = 1024
EVENTS_PER_TURN = 5_000
RESERVE_BYTES = 1 << 20
"""Memory that a world gives back when it fails: who ran out of it needs some to end well."""
LATENESS = "quoit_kernel_lateness_seconds"


class Timer(Protocol):
    """Calls back at or after an instant of CLOCK_MONOTONIC."""

    def arm(self, at_ns: int) -> None: ...

    def close(self) -> None: ...


class _Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("it_interval", _Timespec), ("it_value", _Timespec)]


class TimerFd:
    """Linux timerfd: microsecond precision where the event loop's own timers round to milliseconds.

    By ctypes, because `os.timerfd_create` came with Python 3.13 only.
    """

    _CLOCK_MONOTONIC = 1
    _TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1

    def __init__(self, loop: asyncio.AbstractEventLoop, fire: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(self._CLOCK_MONOTONIC, self._TFD_NONBLOCK | self._TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._loop = loop
        self._fire = fire
        loop.add_reader(self._fd, self._readable)

    def arm(self, at_ns: int) -> None:
        at_ns = max(1, at_ns)
        spec = _Itimerspec(_Timespec(0, 0), _Timespec(at_ns // 1_000_000_000, at_ns % 1_000_000_000))
        if self._libc.timerfd_settime(self._fd, self._TFD_TIMER_ABSTIME, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            struct.unpack("Q", os.read(self._fd, 8))
        self._fire()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class LoopTimer:
    """The event loop's own timer, for systems without timerfd. Coarse; the due check keeps it honest."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fire: Callable[[], None]) -> None:
        self._loop = loop
        self._fire = fire
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, at_ns: int) -> None:
        self.close()
        delay = max(0, at_ns - time.monotonic_ns()) / 1e9
        self._handle = self._loop.call_later(delay, self._fire)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def best_timer(loop: asyncio.AbstractEventLoop, fire: Callable[[], None]) -> Timer:
    """The finest timer this system has."""
    timer: type[TimerFd] | type[LoopTimer] = TimerFd if platform.system() == "Linux" else LoopTimer
    return timer(loop, fire)


class WriterThread:
    """One thread a device: takes all operations that wait, runs them as one batch, hands results back.

    No result is wanted before its simulated time has passed, so a batch may wait for more operations until
    the latest start of its first one: under load many share one commit, and nobody is later for it.
    """

    def __init__(
        self,
        device: Device,
        loop: asyncio.AbstractEventLoop,
        done: Callable[[list[Any]], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self._device = device
        self._loop = loop
        self._done = done
        self._broke = broke
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="quoit-device", daemon=True)
        self._thread.start()

    def put(self, start_by_ns: int, operation: Any, due: int, done: Callable[[Any], None]) -> None:
        """Run `operation`, beginning at monotonic time `start_by_ns` at the latest."""
        self._queue.put((start_by_ns, operation, due, done))

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            if batch[0] is not None:
                self._gather(batch)
            if batch[-1] is None:
                if len(batch) > 1:
                    self._execute(batch[:-1])
                return
            self._execute(batch)

    def _gather(self, batch: list[Any]) -> None:
        start_by_ns = batch[0][0]
        while batch[-1] is not None:
            left_s = (start_by_ns - time.monotonic_ns()) / 1e9
            try:
                batch.append(self._queue.get(timeout=left_s) if left_s > 0 else self._queue.get_nowait())
            except Empty:
                return

    def _execute(self, batch: list[Any]) -> None:
        try:
            results = self._device.execute([operation for _, operation, _, _ in batch])
        except Exception as fault:  # noqa: BLE001 - border of the writer thread
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._broke, fault)
            results = [Problem("store-failed", type(fault).__name__)] * len(batch)
        finished = [(due, done, result) for (_, _, due, done), result in zip(batch, results, strict=True)]
        with contextlib.suppress(RuntimeError):  # the loop has gone: nobody waits any more
            self._loop.call_soon_threadsafe(self._done, finished)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=10)


class ThreadedDevices:
    """Runs device operations beside the kernel, and holds the kernel where a result is owed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        kernel: Kernel,
        advance: Callable[[], None],
        wall_of: Callable[[int], int],
        broke: Callable[[Exception], None],
    ) -> None:
        self._broke = broke
        self._loop = loop
        self._kernel = kernel
        self._advance = advance
        self._wall_of = wall_of
        self._threads: dict[int, WriterThread] = {}
        self._owed: dict[int, int] = {}

    def submit(self, device: Device, operation: Any, due: int, done: Callable[[Any], None]) -> None:
        thread = self._threads.get(id(device))
        if thread is None:
            thread = self._threads[id(device)] = WriterThread(device, self._loop, self._finished, self._broke)
        self._owed[due] = self._owed.get(due, 0) + 1
        self._kernel.hold(due)
        halfway = (self._kernel.now + due) // 2
        thread.put(self._wall_of(halfway), operation, due, done)

    def _finished(self, results: list[Any]) -> None:
        for due, done, result in results:
            left = self._owed[due] - 1
            if left:
                self._owed[due] = left
            else:
                del self._owed[due]
            done(result)
        self._advance()

    @property
    def earliest_owed(self) -> int | None:
        """The first instant at which a result is owed and not there yet."""
        return min(self._owed) if self._owed else None

    def close(self) -> None:
        for thread in self._threads.values():
            thread.close()


class _Watch:
    """One observer's queue. A slow observer loses the oldest news, and is told how many (B2)."""

    def __init__(self, kind: type[Message]) -> None:
        self.kind = kind
        self.queue: asyncio.Queue[Message] = asyncio.Queue(WATCH_QUEUE)
        self.lost = 0

    def put(self, msg: Message) -> None:
        if self.queue.full():
            self.queue.get_nowait()
            if not self.lost:
                _log.warning("watcher.lagging", kind=self.kind.__name__)
            self.lost += 1
        self.queue.put_nowait(msg)


class LiveWorld:
    """Paces a kernel by the host's monotonic clock and lets the outside in. A `Gate`.

    `speed` is simulated seconds per real second. `epoch_unix_s` is the Unix time that the scenario gives
    to its instant 0. A lateness above `bound_s` marks the run *not faithful*; it is never an input.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        speed: float = 1.0,
        epoch_unix_s: float = 0.0,
        bound_s: float = 0.5,
        record: Callable[[int, int, str, Message], None] | None = None,
        timer: Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Timer] = best_timer,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, found {speed}")
        self.kernel = kernel
        self.speed = speed
        self.faithful = True
        self.why_not_faithful = ""
        self.worst_lateness_s = 0.0
        self._epoch_unix_s = epoch_unix_s
        self._bound_s = bound_s
        self._record = record
        self._make_timer = timer
        self._timer: Timer | None = None
        self._devices: ThreadedDevices | None = None
        self._watches: list[_Watch] = []
        self._running = False
        self._stop_at: int | None = None
        self._stopped: asyncio.Event | None = None
        self._fault: Exception | None = None
        self._reserve = bytes(RESERVE_BYTES)

    def begin(self, *, wall_ns: int | None = None, stop_at: int | None = None) -> None:
        """Go live from the kernel's present instant, which is set equal to monotonic time `wall_ns`
        (now, if not given). Call inside a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._base_sim = self.kernel.now
        self._base_wall = time.monotonic_ns() if wall_ns is None else wall_ns
        self._timer = self._make_timer(self._loop, self._advance)
        self._devices = ThreadedDevices(self._loop, self.kernel, self._advance, self._wall_of, self.fail)
        self.kernel.devices = self._devices
        self.kernel.strict = False
        self.kernel.watchers.append(self._on_news)
        self._stop_at = stop_at
        self._stopped = asyncio.Event()
        self._running = True
        self._advance()

    @property
    def running(self) -> bool:
        """Whether requests are answered: from `begin` to `end`."""
        return self._running

    async def ended(self) -> None:
        """Wait until `stop_at` has been reached. Raises what stopped the world before that: a device that
        can do nothing any more, or a fault of the kernel."""
        assert self._stopped is not None
        await self._stopped.wait()
        if self._fault is not None:
            raise self._fault

    def fail(self, fault: Exception) -> None:
        """Nothing is answered any more: whoever waits in `ended` decides how the process ends."""
        if self._fault is None and self._running:
            self._reserve = b""
            self._fault = fault
            self._running = False
            assert self._stopped is not None
            self._stopped.set()  # before anything else that could fail in its turn
            _log.critical("world.failed", kind=type(fault).__name__)

    def end(self) -> None:
        """Stop pacing; waiting requests get `Problem("not-ready")` at their deadline."""
        self._running = False
        if self._timer is not None:
            self._timer.close()
        if self._devices is not None:
            self._devices.close()

    # -- Gate ----------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Simulated time by the pacing clock."""
        elapsed = time.monotonic_ns() - self._base_wall
        if self.speed == 1.0:
            return self._base_sim + elapsed
        return self._base_sim + int(elapsed * self.speed)

    def unix_s(self, at_ns: int) -> float:
        """The scenario's Unix time of a simulated instant."""
        return self._epoch_unix_s + at_ns / 1e9

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Any:
        """See `Gate.ask`."""
        if not self._running:
            raise Problem("not-ready", "the twin is not running")
        answer: asyncio.Future[Any] = self._loop.create_future()

        def reply(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)

        at = max(self.kernel.now, self.now_ns())
        seq = self.kernel.ask_from_outside(at, to, msg, reply)
        if self._record is not None:
            self._record(at, seq, to, msg)
        self._advance()
        if not answer.done():
            try:
                async with asyncio.timeout(within_s):
                    await answer
            except TimeoutError:
                self.kernel.abandon(reply)
                raise Problem("deadline", f"no answer within {within_s:g} s") from None
        value = answer.result()
        if isinstance(value, Problem):
            raise value
        return value

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        """See `Gate.watch`."""
        watch = _Watch(kind)
        self._watches.append(watch)
        try:
            while True:
                msg = await watch.queue.get()
                if watch.lost:
                    lost, watch.lost = watch.lost, 0
                    yield Missed(lost)
                yield msg
        finally:
            self._watches.remove(watch)

    def _on_news(self, subject: str, msg: Message) -> None:
        for watch in self._watches:
            if isinstance(msg, watch.kind):
                watch.put(msg)

    # -- pacing --------------------------------------------------------------------------------------

    def receive(self, frame: tuple[Any, ...]) -> None:
        """An event from another process; the run is not faithful if it came after later ones were handled."""
        disorder = self.kernel.disorder
        self.kernel.receive(frame)
        if self.kernel.disorder > disorder:
            self.doubt("a message of another process came too late")
        self._advance()

    def doubt(self, why: str) -> None:
        """Something has happened that the scenario does not hold: the run goes on and is not faithful."""
        if self.faithful:
            self.faithful = False
            self.why_not_faithful = why
            _log.warning("run.not_faithful", why=why)

    def missed(self, source: int, number: int) -> None:
        """A frame of another process never came: what stood in it has not happened here."""
        self.faithful = False
        self.why_not_faithful = "a message of another process was lost"
        _log.error("run.not_faithful", why=self.why_not_faithful, source=source, number=number)

    def _advance(self) -> None:
        if not self._running:
            return
        try:
            self._catch_up()
        except Exception as fault:  # noqa: BLE001 - called by the event loop, which would log it and go on
            self.fail(fault)

    def _catch_up(self) -> None:
        kernel, devices = self.kernel, self._devices
        assert devices is not None
        now = self.now_ns()
        if self._stop_at is not None and now >= self._stop_at:
            now = self._stop_at
        owed = devices.earliest_owed
        until = now if owed is None else min(now, owed - 1)
        due = kernel.next_due
        if due is not None and due <= until:
            self._observe(due)
            if kernel.run(until, limit=EVENTS_PER_TURN) >= EVENTS_PER_TURN:
                self._loop.call_soon(self._advance)  # let sockets have their turn
                return
        self._rest(now, until)

    def _rest(self, now: int, until: int) -> None:
        kernel, devices = self.kernel, self._devices
        assert devices is not None
        assert self._timer is not None
        owed, due = devices.earliest_owed, kernel.next_due
        if owed is not None and (due is None or due >= owed):
            return  # the writer thread's answer advances us
        if now == self._stop_at and (due is None or due > now):
            kernel.now = now
            assert self._stopped is not None
            self._stopped.set()
            return
        if self._stop_at is not None:
            due = self._stop_at if due is None else min(due, self._stop_at)
        if due is not None:
            self._timer.arm(self._wall_of(due))

    def _wall_of(self, due: int) -> int:
        # Rounded up: a timer that fires a nanosecond early would find nothing due and spin.
        return self._base_wall + -int(-(due - self._base_sim) // self.speed)

    def _observe(self, due: int) -> None:
        late_s = (time.monotonic_ns() - self._wall_of(due)) / 1e9
        self.kernel.instruments.observe(LATENESS, (), max(0.0, late_s))
        self.worst_lateness_s = max(self.worst_lateness_s, late_s)
        if late_s > self._bound_s and self.faithful:
            self.faithful = False
            self.why_not_faithful = "the twin fell behind its own time"
            _log.warning("run.not_faithful", late_s=round(late_s, 3), bound_s=self._bound_s)
