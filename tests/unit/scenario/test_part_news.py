"""News of all parts at each: asked for, in order, bounded, and what is missing is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from quoit.interfaces.restconf.streams import Feed
from quoit.orchestration.telemetry_api import HealthChanged
from quoit.planes.management import Alarm
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.kernel import Kernel
from quoit.runtime.wire import Message
from quoit.scenario import part_news
from quoit.scenario.news import Gap, News, NewsDesk
from quoit.scenario.part_news import MOST_HELD, MOST_WAITING, MOST_WANTS, NewsGate, PartNews
from quoit.service.api import UNIT_NEWS, UnitsChanged

MS = 1_000_000


def alarm(since_ns: int) -> Alarm:
    return Alarm("fabric", "link", "dark", "major", "no light", since_ns)


class Wire:
    """Parts whose news go to each other at once, as MessagePack; what is said in the hall is heard at once."""

    def __init__(self, *names: str) -> None:
        self.now_ns = 0
        self.lose: set[str] = set()
        self.kernels = {name: Kernel([]) for name in names}
        self.parts: dict[str, PartNews] = {}
        for name in names:
            self.parts[name] = PartNews(
                self.kernels[name], name, Line(self, name), lambda: self.now_ns, 1.0, self._say(name)
            )

    def _say(self, name: str) -> Callable[[], None]:
        def say() -> None:
            for other in self.parts.keys() - {name}:
                self.parts[other].wanted(name, self.parts[name].wants)

        return say

    def publish(self, name: str, at_ns: int, subject: str = "alarm.fabric.link", msg: Message | None = None) -> None:
        self.kernels[name].now = at_ns
        for watcher in self.kernels[name].watchers:
            watcher(subject, msg or alarm(at_ns))


class Line:
    def __init__(self, wire: Wire, name: str) -> None:
        self._wire, self._name = wire, name

    def tell(self, part: str, news: tuple[Any, ...]) -> None:
        if part in self._wire.lose:
            self._wire.parts[part].missed(self._name, 1)
        else:
            told = msgspec.msgpack.decode(msgspec.msgpack.encode(news))
            self._wire.parts[part].arrived(self._name, tuple(told))


def told(story: Callable[[], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(part_news, "HOLD_S", 0.01)
    return asyncio.run(asyncio.wait_for(story(), 20))


async def passed_on(wire: Wire, heard: list[Any], number: int) -> None:
    wire.now_ns = 10**12  # all has waited long enough
    while len(heard) < number:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.03)  # what would come after


def test_a_part_hears_all_parts_in_the_order_of_simulated_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[Any]:
        wire, heard = Wire("a", "b", "c"), list[Any]()
        wire.publish("b", 1)  # nobody has asked yet
        wire.parts["a"].listen(heard.append, ["alarm.>"])
        for name, at_ns in (("c", 7), ("c", 9), ("b", 3), ("a", 5), ("b", 8)):
            wire.publish(name, at_ns)
        wire.publish("c", 9, "fabric.link.x.pool")  # nobody wants these
        await passed_on(wire, heard, 5)
        wire.parts["a"].leave(heard.append)
        wire.publish("b", 20)
        await passed_on(wire, heard, 5)
        return heard

    heard = told(story, monkeypatch)
    assert [(news.at_ns, news.msg.since_ns) for news in heard] == [(n, n) for n in (3, 5, 7, 8, 9)]


def test_news_wait_for_those_of_other_parts_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> tuple[list[Any], list[Any]]:
        wire, heard = Wire("a", "b"), list[Any]()
        wire.parts["a"].listen(heard.append, ["alarm.>"])
        wire.publish("a", 100 * MS)
        wire.now_ns = 105 * MS
        await asyncio.sleep(0.05)
        early = list(heard)
        wire.now_ns = 110 * MS
        while not heard:
            await asyncio.sleep(0.005)
        wire.publish("b", 90 * MS)  # the bus was too slow
        await passed_on(wire, heard, 2)
        return early, heard

    early, heard = told(story, monkeypatch)
    assert early == []
    assert [news.at_ns for news in heard] == [100 * MS, 90 * MS]


def test_a_reader_of_events_is_told_of_gaps_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[bytes]:
        wire = Wire("a", "b")
        desk = NewsDesk(wire.parts["a"])
        feed: Feed = desk.open([])
        wire.publish("b", 1)
        wire.lose.add("a")
        wire.publish("b", 2)
        wire.lose.clear()
        wire.publish("b", 3)
        wire.parts["a"].gone("b")
        await passed_on(wire, [], 0)
        feed.close()
        return [chunk async for chunk in feed.chunks()]

    events = [chunk.decode().strip().split("\n") for chunk in told(story, monkeypatch)[1:]]
    assert [(lines[0], lines[1]) for lines in events] == [
        ("id: 1", "event: planes.Alarm"), ("id: 2", "event: gap"), ("id: 3", "event: planes.Alarm"),
        ("id: 4", "event: gap"),
    ]  # fmt: skip
    lost, gone = (json.loads(events[n][2].removeprefix("data: ")) for n in (1, 3))
    assert (lost["part"], lost["lost"]) == ("b", 1)
    assert gone == {"part": "b", "lost": 0, "why": "part b has gone"}


def test_so_much_is_held_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[Any]:
        wire, heard = Wire("a", "b"), list[Any]()
        wire.parts["a"].listen(heard.append, ["alarm.>"])
        for n in range(MOST_HELD + 7):
            wire.publish("b", n)
        await passed_on(wire, heard, MOST_HELD + 1)
        return heard

    heard = told(story, monkeypatch)
    assert sum(isinstance(one, News) for one in heard) == MOST_HELD
    assert [(gap.part, gap.lost) for gap in heard if isinstance(gap, Gap)] == [("b", 7)]


def test_a_part_that_wants_much_asks_for_roots() -> None:
    wire = Wire("a", "b")
    wire.parts["a"].listen(lambda news: None, [f"fabric.link.l{n}.pool" for n in range(MOST_WANTS)])
    assert len(wire.parts["a"].wants) == MOST_WANTS
    wire.parts["a"].listen(lambda news: None, ["alarm.fabric.x"])
    assert wire.parts["a"].wants == ("fabric.>", "alarm.>")


def test_units_and_configurations_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[Any]:
        wire, heard = Wire("a", "b"), list[Any]()
        wire.parts["a"].listen(heard.append, ["service.>", "configuration.>", "remote.>", "alarm.>"])
        for subject in (f"{UNIT_NEWS}.kme-a", "configuration.agent-a", "remote.a"):
            wire.publish("b", 1, subject)
            wire.publish("a", 1, subject)
        wire.publish("b", 2)
        await passed_on(wire, heard, 1)
        with pytest.raises(ValueError, match="not for other parts"):
            wire.parts["a"].arrived("b", (1, f"{UNIT_NEWS}.kme-a", "planes.Alarm", b""))
        return heard

    assert [news.subject for news in told(story, monkeypatch)] == ["alarm.fabric.link"]


class Local:
    """The gate of a part, of which news of other kinds come."""

    async def watch(self, kind: type[Message]) -> Any:
        yield kind


def test_servers_of_one_part_watch_all_and_hear_what_they_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[Message]:
        wire = Wire("a", "b")
        gate: Gate = NewsGate(Local(), wire.parts["a"])  # type: ignore[arg-type]
        watched = gate.watch(Alarm)
        first = asyncio.ensure_future(anext(watched))
        await asyncio.sleep(0)
        assert list(wire.parts["a"].wants) == ["alarm.>"]
        wire.publish("b", 1, msg=HealthChanged("x", "link", 50, (), 1))
        wire.publish("b", 2)
        wire.lose.add("a")
        wire.publish("b", 3)
        await passed_on(wire, [], 0)
        found = [await first, await anext(watched)]
        wire.lose.clear()
        for n in range(MOST_WAITING + 3):
            wire.publish("b", 10 + n)
        await passed_on(wire, [], 0)
        found += [await anext(watched), await anext(watched)]
        await watched.aclose()  # type: ignore[attr-defined]
        assert list(wire.parts["a"].wants) == []
        local: Any = await anext(gate.watch(UnitsChanged))
        assert local is UnitsChanged
        return found

    assert told(story, monkeypatch) == [alarm(2), Missed(1), Missed(3), alarm(13)]
