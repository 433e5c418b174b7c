"""News of a running twin for whoever watches it: server-sent events, chosen by subject, bounded.

A reader names patterns (`alarm.>`, `fabric.link.*.quarantined`) and gets what is published under them from then on: by
any part of a twin that runs apart (`part_news`), by the elements of the first process of one that is split by place.
Nobody waits for a reader: one that lags is cut, and is told so. News of single units are left out: they name keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from quoit.interfaces.restconf.streams import Feed
from quoit.model.problem import Problem
from quoit.orchestration.telemetry_api import HEALTH_NEWS
from quoit.planes.loop import LOOP_NEWS
from quoit.planes.management import ALARM_NEWS
from quoit.planes.telemetry import TELEMETRY_NEWS
from quoit.runtime.kernel import Kernel, matches
from quoit.runtime.wire import Message, name_of
from quoit.service.api import UNIT_NEWS

USUAL = (f"{ALARM_NEWS}.>", f"{HEALTH_NEWS}.>", f"{TELEMETRY_NEWS}.>")
"""What a reader gets that asks for nothing in particular."""
ROOTS = (ALARM_NEWS, HEALTH_NEWS, TELEMETRY_NEWS, LOOP_NEWS, "connectivity", "fabric", "service")
MOST_READERS, MOST_PATTERNS, MOST_LAG = 32, 16, 1000
KEEPALIVE_S, UNREAD_S = 15.0, 10.0
_PATTERN = re.compile(r"[^.\s]{1,100}(\.[^.\s]{1,100}){0,8}")


class News(NamedTuple):
    """What an element published: when (simulated, ns), under which subject, and what."""

    at_ns: int
    subject: str
    msg: Message


class Gap(NamedTuple):
    """In place of news of a part that are missing: how many (0: nobody knows), and why."""

    part: str
    lost: int
    why: str


Heard = Callable[[News | Gap], None]


class NewsSource(Protocol):
    """Where news come from."""

    def listen(self, heard: Heard, patterns: Iterable[str]) -> None:
        """From now on `heard` gets what is published under these patterns, and maybe more; called again, it changes
        them."""
        ...

    def leave(self, heard: Heard) -> None:
        """It gets nothing more."""
        ...


class OwnNews:
    """News of the elements that live here. A `NewsSource` that misses nothing."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._listeners: list[Heard] = []

    def listen(self, heard: Heard, patterns: Iterable[str]) -> None:
        """See `NewsSource`. All news come, whatever the patterns."""
        if not self._listeners:
            self._kernel.watchers.append(self._on_news)
        if heard not in self._listeners:
            self._listeners.append(heard)

    def leave(self, heard: Heard) -> None:
        """See `NewsSource`."""
        if heard in self._listeners:
            self._listeners.remove(heard)
            if not self._listeners:
                self._kernel.watchers.remove(self._on_news)

    def _on_news(self, subject: str, msg: Message) -> None:
        news = News(self._kernel.now, subject, msg)
        for heard in list(self._listeners):
            heard(news)


def patterns_of(asked: Sequence[str]) -> tuple[str, ...]:
    """Problem `malformed` for what is no pattern of subjects that there are."""
    if len(asked) > MOST_PATTERNS:
        raise Problem("malformed", f"expected at most {MOST_PATTERNS} subjects, found {len(asked)}")
    for pattern in asked:
        if _PATTERN.fullmatch(pattern) is None or ">" in pattern.split(".")[:-1]:
            raise Problem("malformed", f"expected labels with dots between, * for one, > last, found {pattern[:80]!r}")
        if pattern.split(".")[0] not in ROOTS:
            raise Problem("malformed", f"subjects begin with {', '.join(ROOTS)}; found {pattern[:80]!r}")
    return tuple(asked) or USUAL


class NewsDesk:
    """All readers of one twin's news."""

    def __init__(self, source: NewsSource) -> None:
        self._source = source
        self._readers: dict[Feed, tuple[str, ...]] = {}
        self._sent = 0

    def open(self, asked: Sequence[str]) -> Feed:
        """Begin to read. Problems `malformed`; `too-many-requests` with all places taken."""
        patterns = patterns_of(asked)
        if len(self._readers) >= MOST_READERS:
            raise Problem("overloaded", f"{MOST_READERS} readers are connected; try again when one has gone")
        feed = Feed(MOST_LAG, KEEPALIVE_S, self._forget)
        self._readers[feed] = patterns
        self._listen()
        return feed

    def close(self) -> None:
        """End all readers."""
        for feed in list(self._readers):
            feed.close()

    def _forget(self, feed: Feed) -> None:
        if self._readers.pop(feed, None) is not None:
            self._listen()

    def _listen(self) -> None:
        wanted = dict.fromkeys(pattern for patterns in self._readers.values() for pattern in patterns)
        if wanted:
            self._source.listen(self._on_news, wanted)
        else:
            self._source.leave(self._on_news)

    def _on_news(self, news: News | Gap) -> None:
        if isinstance(news, Gap):
            self._tell(list(self._readers), "gap", news._asdict())
        elif not news.subject.startswith(f"{UNIT_NEWS}."):
            readers = [
                feed
                for feed, patterns in self._readers.items()
                if any(matches(pattern, news.subject) for pattern in patterns)
            ]
            told = {"subject": news.subject, "now_ns": news.at_ns, "news": news.msg}
            self._tell(readers, name_of(type(news.msg)), told)

    def _tell(self, readers: list[Feed], event: str, data: object) -> None:
        if not readers:
            return
        self._sent += 1
        chunk = b"id: %d\nevent: %s\ndata: %s\n\n" % (self._sent, event.encode(), msgspec.json.encode(data))
        for feed in readers:
            feed.put(chunk)
