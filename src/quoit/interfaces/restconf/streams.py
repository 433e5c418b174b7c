"""Event streams: a log that can be replayed, and readers who get server-sent events until they lag too far."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from quoit.interfaces.restconf.datastore import DEFAULT_LIMITS, Limits
from quoit.interfaces.restconf.errors import RestconfError, bad_value
from quoit.interfaces.restconf.schema import Tree


class Event(NamedTuple):
    """A notification that happened. `seq` counts within its stream, from 1."""

    seq: int
    at: datetime
    name: str
    node: Any
    content: Tree


Passes = Callable[[Event], bool]


def instant_text(at: datetime) -> str:
    """RFC 3339, to the microsecond, as eventTime has it."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_bytes(at: datetime, name: str, content: Tree, seq: int | None = None) -> bytes:
    """One server-sent event with a notification of RFC 8040 cl. 6.4."""
    body = {"ietf-restconf:notification": {"eventTime": instant_text(at), name: content}}
    head = b"id: %d\n" % seq if seq is not None else b""
    return head + b"data: " + msgspec.json.encode(body) + b"\n\n"


class Feed:
    """What one reader is still to be sent. Bounded: a reader that lags by more than `bound` events is cut."""

    def __init__(self, bound: int, keepalive_s: float, ended: Callable[[Feed], None]) -> None:
        self._waiting: deque[bytes] = deque()
        self._bound = bound
        self._keepalive_s = keepalive_s
        self._ended = ended
        self._news = asyncio.Event()
        self._closing = False
        self.lagged = False

    def put(self, chunk: bytes) -> None:
        """Have it sent; what comes after the end is dropped."""
        if self._closing:
            return
        if len(self._waiting) >= self._bound:
            self.lagged = True
            self._waiting.clear()
            self._waiting.append(b": cut: you read too slowly and have missed events\n\n")
            self.close()
            return
        self._waiting.append(chunk)
        self._news.set()

    def preload(self, chunks: list[bytes]) -> None:
        """Put what is sent first; it does not count as lagging."""
        self._bound += len(chunks)
        self._waiting.extend(chunks)
        self._news.set()

    def close(self) -> None:
        """End it once what waits has been sent."""
        self._closing = True
        self._news.set()

    def drop(self) -> None:
        """The reader has gone, or never came."""
        self._closing = True
        self._waiting.clear()
        self._news.set()
        self._ended(self)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Bytes to send, keep-alive comments among them, until the feed is closed."""
        try:
            yield b": open\n\n"
            while True:
                while self._waiting:
                    yield self._waiting.popleft()
                if self._closing:
                    return
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), self._keepalive_s)
                except TimeoutError:
                    yield b": keep-alive\n\n"
        finally:
            self.drop()


class EventStream:
    """One stream: a bounded log for replay, and its readers."""

    def __init__(
        self, name: str, description: str, *, now: Callable[[], datetime], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.name = name
        self.description = description
        self.created = now()
        self.log: deque[Event] = deque(maxlen=limits.replay_events)
        self._now = now
        self._limits = limits
        self._seq = 0
        self._readers: dict[Feed, tuple[Passes, datetime | None]] = {}
        self._timers: dict[Feed, asyncio.TimerHandle] = {}

    def publish(self, at: datetime, name: str, node: Any, content: Tree) -> None:
        """Log a notification and send it to all readers whom it passes. `content` must be valid already."""
        self._seq += 1
        event = Event(self._seq, at, name, node, content)
        self.log.append(event)
        chunk = event_bytes(at, name, content, event.seq)
        for feed, (passes, stop) in list(self._readers.items()):
            if stop is not None and at > stop:
                feed.close()
            elif passes(event):
                feed.put(chunk)

    def aged(self) -> datetime | None:
        """When the youngest event that was dropped from the log's other end happened; None if none was."""
        return self.log[0].at if self._seq > len(self.log) else None

    def replayed(self, start: datetime | None, after: int | None, stop: datetime | None, passes: Passes) -> list[bytes]:
        """Logged events from `start`, or after the one numbered `after`, up to `stop`."""
        if start is None and after is None:
            return []
        chosen = (
            e
            for e in self.log
            if (start is None or e.at >= start) and (after is None or e.seq > after) and (stop is None or e.at <= stop)
        )
        return [event_bytes(e.at, e.name, e.content, e.seq) for e in chosen if passes(e)]

    def open(
        self,
        passes: Passes,
        *,
        start: datetime | None = None,
        stop: datetime | None = None,
        after: int | None = None,
        between: bytes | None = None,
    ) -> Feed:
        """A new reader. `start` is for replay; `after` for a reader that comes back (Last-Event-ID); `between` is sent
        once the replay is over. Raises RestconfError if there are too many readers, or the times make no sense."""
        now = self._now()
        if start is not None and start > now:
            raise bad_value("start-time is in the future")
        if stop is not None and start is None:
            raise bad_value("stop-time needs a start-time")
        if stop is not None and start is not None and stop < start:
            raise bad_value("stop-time is before start-time")
        if len(self._readers) >= self._limits.readers:
            raise RestconfError("resource-denied", f"the stream has {self._limits.readers} readers already")
        feed = Feed(self._limits.reader_events, self._limits.keepalive_s, self._forget)
        first = self.replayed(start, after, stop, passes)
        feed.preload(first + ([between] if between else []))
        if stop is not None and stop <= now:
            feed.close()
            return feed
        self._readers[feed] = (passes, stop)
        if stop is not None:
            loop = asyncio.get_running_loop()
            self._timers[feed] = loop.call_later((stop - now).total_seconds(), feed.close)
        return feed

    def _forget(self, feed: Feed) -> None:
        self._readers.pop(feed, None)
        timer = self._timers.pop(feed, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """End all readers."""
        for feed in list(self._readers):
            feed.close()

    @property
    def readers(self) -> int:
        return len(self._readers)
