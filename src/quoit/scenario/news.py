"""News of a running twin for whoever watches it: server-sent events, chosen by subject, bounded.

A reader names patterns (`alarm.>`, `fabric.link.*.quarantined`) and gets what is published under them from then on. Of
a twin in several processes, that is the news of the elements of the first one. Nobody waits for a reader: one that
lags is cut, and is told so. News of single units are left out, since they name keys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._readers: dict[Feed, tuple[str, ...]] = {}
        self._sent = 0

    def open(self, asked: Sequence[str]) -> Feed:
        """Begin to read. Problems `malformed`; `too-many-requests` with all places taken."""
        patterns = patterns_of(asked)
        if len(self._readers) >= MOST_READERS:
            raise Problem("overloaded", f"{MOST_READERS} readers are connected; try again when one has gone")
        feed = Feed(MOST_LAG, KEEPALIVE_S, self._forget)
        if not self._readers:
            self._kernel.watchers.append(self._on_news)
        self._readers[feed] = patterns
        return feed

    def close(self) -> None:
        """End all readers."""
        for feed in list(self._readers):
            feed.close()

    def _forget(self, feed: Feed) -> None:
        if self._readers.pop(feed, None) is not None and not self._readers:
            self._kernel.watchers.remove(self._on_news)

    def _on_news(self, subject: str, msg: Message) -> None:
        if subject.startswith(f"{UNIT_NEWS}."):
            return
        chunk: bytes | None = None
        for feed, patterns in list(self._readers.items()):
            if any(matches(pattern, subject) for pattern in patterns):
                if chunk is None:
                    self._sent += 1
                    chunk = self._event(subject, msg)
                feed.put(chunk)

    def _event(self, subject: str, msg: Message) -> bytes:
        data = msgspec.json.encode({"subject": subject, "now_ns": self._kernel.now, "news": msg})
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._sent, name_of(type(msg)).encode(), data)
