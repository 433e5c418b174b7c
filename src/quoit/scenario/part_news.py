"""News that cross the parts of a twin that runs apart: whoever watches at one part hears the elements of all.

Each part says in the hall which subjects are wanted there. The others send it what they publish under these, over the
bus, in their order. Here all is held for a moment and passed on in the order of simulated time; what came later than
that is passed on when it comes, so that only the order of one part's news is sure. All queues have bounds, and what
does not fit is told of as a gap, as is a part that has gone.

Only news that any observer may read cross: no unit's, since these name keys, and nobody's configuration.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from quoit.orchestration.api import (
    INTENT_NEWS,
    LINK_SEEN,
    NODE_NEWS,
    WORKS_NEWS,
    IntentChanged,
    LinkSeen,
    NodeJoined,
    Report,
    WorksAnnounced,
)
from quoit.orchestration.telemetry_api import HEALTH_NEWS, HealthChanged
from quoit.planes.management import ALARM_NEWS, Alarm
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.kernel import Kernel, matches
from quoit.runtime.wire import Message, decode, encode, name_of
from quoit.scenario.news import ROOTS, Gap, Heard, News
from quoit.service.api import UNIT_NEWS

HOLD_S = 0.25
"""So long, of the host's time, news wait for earlier ones of other parts."""
MOST_HELD = 4_096
"""News that wait for that."""
AT_ONCE = 500
"""Passed on before anybody else has a turn."""
MOST_WANTS = 32
"""Patterns that a part names; with more, it wants all that begins as these do."""
MOST_WAITING = 1_024
"""News that wait for one watcher of a kind."""
CROSSING = (*ROOTS, "orchestration")
KINDS: dict[type[Message], str] = {
    Alarm: f"{ALARM_NEWS}.>",
    HealthChanged: f"{HEALTH_NEWS}.>",
    WorksAnnounced: WORKS_NEWS,
    NodeJoined: f"{NODE_NEWS}.>",
    LinkSeen: f"{LINK_SEEN}.>",
    IntentChanged: f"{INTENT_NEWS}.>",
    Report: f"{INTENT_NEWS}.>",
}
"""Under which subjects a kind is published that servers of any part watch. The other kinds are watched where their
elements are."""


class NewsPost(Protocol):
    """Carries news to another part; see `PartBus.tell`."""

    def tell(self, part: str, news: tuple[Any, ...]) -> None: ...


def may_cross(subject: str) -> bool:
    """Whether news of this subject are for observers in other parts."""
    return subject.partition(".")[0] in CROSSING and not subject.startswith(f"{UNIT_NEWS}.")


class PartNews:
    """One part's news desk among all. A `NewsSource`.

    `clock` shows the simulated time, ns, and `speed` is that of the twin; `say` tells the other parts of `wants`.
    """

    def __init__(
        self, kernel: Kernel, part: str, post: NewsPost, clock: Callable[[], int], speed: float, say: Callable[[], None]
    ) -> None:
        self._kernel = kernel
        self._part = part
        self._post = post
        self._clock = clock
        self._speed = speed
        self._say = say
        self._listeners: dict[Heard, tuple[str, ...]] = {}
        self._wanted_by: dict[str, tuple[str, ...]] = {}
        self._held: list[tuple[int, str, int, News | Gap]] = []
        self._arrivals = 0
        self._latest: dict[str, int] = {}
        self._left_out = Counter[str]()
        self._timer: asyncio.TimerHandle | None = None
        kernel.watchers.append(self._on_own)

    # -- who listens here ----------------------------------------------------------------------------

    @property
    def wants(self) -> tuple[str, ...]:
        """Patterns of what is wanted here."""
        patterns = dict.fromkeys(pattern for some in self._listeners.values() for pattern in some)
        if len(patterns) > MOST_WANTS:
            patterns = dict.fromkeys(f"{pattern.partition('.')[0]}.>" for pattern in patterns)
        return tuple(patterns)

    def listen(self, heard: Heard, patterns: Iterable[str]) -> None:
        """See `NewsSource`. The others hear of it at once, and what they publish from then on comes."""
        self._listeners[heard] = tuple(patterns)
        self._say()

    def leave(self, heard: Heard) -> None:
        """See `NewsSource`."""
        if self._listeners.pop(heard, None) is not None:
            self._say()

    # -- to the others -------------------------------------------------------------------------------

    def wanted(self, part: str, patterns: Sequence[str]) -> None:
        """A part says what is wanted there; nothing, if it has gone."""
        if patterns:
            self._wanted_by[part] = tuple(patterns[:MOST_WANTS])
        else:
            self._wanted_by.pop(part, None)

    def _on_own(self, subject: str, msg: Message) -> None:
        if not (self._listeners or self._wanted_by) or not may_cross(subject):
            return
        parts = [part for part, patterns in self._wanted_by.items() if _fits(subject, patterns)]
        if parts:
            news = (self._kernel.now, subject, name_of(type(msg)), encode(msg))
            for part in parts:
                self._post.tell(part, news)
        self._hold(self._part, self._kernel.now, News(self._kernel.now, subject, msg))

    # -- from the others -----------------------------------------------------------------------------

    def arrived(self, part: str, told: tuple[Any, ...]) -> None:
        """News of another part, as `NewsPost.tell` was given them. KeyError, ValueError or msgspec's if it is none."""
        at_ns, subject, name, data = told
        if not may_cross(subject):
            raise ValueError(f"{subject} is not for other parts")
        self._hold(part, int(at_ns), News(int(at_ns), subject, decode(name, data)))

    def missed(self, part: str, number: int) -> None:
        """So many news of a part will not come."""
        self._hold(part, self._latest.get(part, 0), Gap(part, number, "the machine was too busy for them"))

    def gone(self, part: str) -> None:
        """A part has gone: until it is back, there is nobody who tells its news."""
        self.wanted(part, ())
        self._hold(part, self._latest.get(part, 0), Gap(part, 0, f"part {part} has gone"))

    # -- in order ------------------------------------------------------------------------------------

    def _hold(self, part: str, at_ns: int, news: News | Gap) -> None:
        self._latest[part] = at_ns
        if not self._listeners or (isinstance(news, News) and not self._is_wanted(news.subject)):
            return
        if len(self._held) >= MOST_HELD:
            self._left_out[part] += news.lost if isinstance(news, Gap) else 1
            return
        self._arrivals += 1
        heappush(self._held, (at_ns, part, self._arrivals, news))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HOLD_S, self._release)

    def _is_wanted(self, subject: str) -> bool:
        return any(_fits(subject, patterns) for patterns in self._listeners.values())

    def _release(self) -> None:
        """Pass on what has waited long enough."""
        until_ns = self._clock() - int(HOLD_S * 1e9 * self._speed)
        for _ in range(AT_ONCE):
            if not self._held or self._held[0][0] > until_ns:
                break
            self._tell(heappop(self._held)[3])
        left_out, self._left_out = self._left_out, Counter()
        for part, number in left_out.items():
            self.missed(part, number)
        self._timer = None
        if self._held:
            wait_s = max(0.0, (self._held[0][0] - until_ns) / self._speed / 1e9)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._release)

    def _tell(self, news: News | Gap) -> None:
        for heard in list(self._listeners):
            heard(news)

    def close(self) -> None:
        """Nothing is passed on any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._listeners.clear()


def _fits(subject: str, patterns: Iterable[str]) -> bool:
    return any(matches(pattern, subject) for pattern in patterns)


class NewsGate:
    """A `Gate` into a part whose `watch` hears all parts."""

    def __init__(self, gate: Gate, news: PartNews) -> None:
        self._gate = gate
        self._news = news

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Any:
        """See `Gate.ask`."""
        return await self._gate.ask(to, msg, within_s)

    def now_ns(self) -> int:
        """See `Gate.now_ns`."""
        return self._gate.now_ns()

    def unix_s(self, at_ns: int) -> float:
        """See `Gate.unix_s`."""
        return self._gate.unix_s(at_ns)

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        """See `Gate.watch`. News of another part that are lost on the way count as lost, too."""
        pattern = KINDS.get(kind)
        if pattern is None:
            async for msg in self._gate.watch(kind):
                yield msg
            return
        waiting: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        lost = 0

        def heard(news: News | Gap) -> None:
            nonlocal lost
            if isinstance(news, Gap):
                msg: Message = Missed(news.lost)
            else:
                msg = news.msg
            if isinstance(msg, kind) or (isinstance(msg, Missed) and msg.news):
                if waiting.full():
                    waiting.get_nowait()
                    lost += 1
                waiting.put_nowait(msg)

        self._news.listen(heard, [pattern])
        try:
            while True:
                msg = await waiting.get()
                if lost:
                    missed, lost = Missed(lost), 0
                    yield missed
                yield msg
        finally:
            self._news.leave(heard)
