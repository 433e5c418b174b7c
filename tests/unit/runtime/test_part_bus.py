"""The bus of parts that run apart: who may say what on it, and frames of lives that have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import nats
import nats.errors
import pytest

from quoit.adapters.buses.apart import PartBus, users_lines
from quoit.adapters.buses.nats import BusIdentity, NatsServer
from quoit.adapters.crypto.pki import Authority
from quoit.model.role import Role

PARTS = ("fabric", "service", "telemetry")


class Bus:
    """A server, and the identities of its parts."""

    def __init__(self, directory: Path) -> None:
        self._authority = Authority(directory / "pki", "test")
        leaf = self._authority.issue_kme("bus", ["127.0.0.1"])
        identity = BusIdentity(leaf.chain, leaf.key, self._authority.root_pem)
        self.server = NatsServer.start(directory, identity, users=users_lines(PARTS))

    def identity(self, part: str) -> BusIdentity:
        leaf = self._authority.issue_role(Role.KME, part)
        return BusIdentity(leaf.chain, leaf.key, self._authority.root_pem)

    async def client(self, part: str, refused: Callable[[str], None]) -> nats.aio.client.Client:
        async def fault(error: Exception) -> None:
            refused(str(error))

        return await nats.connect(
            self.server.url, tls=self.identity(part).client_context(), tls_hostname="127.0.0.1", error_cb=fault,
            allow_reconnect=False, connect_timeout=5,
        )  # fmt: skip


def on_a_bus(tmp_path: Path, story: Callable[[Bus], Coroutine[Any, Any, None]]) -> None:
    bus = Bus(tmp_path)
    try:
        asyncio.run(story(bus))
    finally:
        bus.server.stop()


def never(*what: object) -> None:
    raise AssertionError(what)


@pytest.mark.realises("A1", "G3")
def test_a_part_speaks_as_itself_and_reads_what_is_its_own(tmp_path: Path) -> None:
    async def story(bus: Bus) -> None:
        refusals: list[str] = []
        heard: list[str] = []

        async def hear(message: Any) -> None:
            heard.append(message.subject)

        spy = await bus.client("telemetry", refusals.append)
        for subject in ("quoit.frame.service.*", "quoit.news.service.*", "quoit.frame.>", ">"):
            await spy.subscribe(subject, cb=hear)
        for subject in ("quoit.hall.service", "quoit.frame.fabric.service", "quoit.news.fabric.service", "quoit.go"):
            await spy.publish(subject, b"I am the service")
        await spy.flush()
        fabric = await bus.client("fabric", refusals.append)
        await fabric.publish("quoit.frame.service.fabric", b"a key")
        await fabric.publish("quoit.news.service.fabric", b"an alarm")
        await fabric.flush()
        await spy.flush()
        await asyncio.sleep(0.2)
        assert heard == []
        assert len(refusals) == 8
        assert all("permissions violation" in refusal for refusal in refusals)
        await spy.close()
        await fabric.close()
        with pytest.raises(nats.errors.Error):
            await bus.client("stranger", refusals.append)

    on_a_bus(tmp_path, story)


@pytest.mark.realises("B1", "C2")
def test_frames_of_a_life_that_has_gone_are_dropped_and_numbers_begin_anew(tmp_path: Path) -> None:
    async def story(bus: Bus) -> None:
        got: list[tuple[Any, ...]] = []
        names = ("fabric", "service")
        fabric, service = (PartBus(bus.server.url, name, bus.identity(name)) for name in names)
        for one in (fabric, service):
            await one.connect(never, never)
        service.meet(names, [0, 0], got.append, never)
        for n in range(3):
            service.send(0, ("early", n))  # before the other knows who is who
        await asyncio.sleep(0.3)
        fabric.meet(names, [0, 0], got.append, never)
        assert got == [("early", n) for n in range(3)]
        got.clear()

        await service.close()
        again = PartBus(bus.server.url, "service", bus.identity("service"))
        await again.connect(never, never)
        again.meet(names, [0, 1], got.append, never)
        fabric.send(1, ("for the dead",))
        await asyncio.sleep(0.3)
        assert got == []
        again.send(0, ("back",))
        await asyncio.sleep(0.3)
        fabric.send(1, ("welcome",))
        await asyncio.sleep(0.3)
        assert got == [("back",), ("welcome",)]
        stale = msgspec.msgpack.encode((0, 0, 4, ("ghost",)))
        fabric._take("service", stale)
        assert got[2:] == []
        for one in (fabric, again):
            await one.close()

    on_a_bus(tmp_path, story)


def test_news_come_in_order_and_what_does_not_is_counted_even_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bus: Bus) -> None:
        got: list[Any] = []
        fabric, service = (PartBus(bus.server.url, name, bus.identity(name)) for name in PARTS[:2])
        for one in (fabric, service):
            await one.connect(never, never)
            one.listen(lambda part, news: got.append((part, *news)), lambda part, lost: got.append((part, lost)))
            one.meet(PARTS[:2], [0, 0], never, never)
        for n in range(3):
            service.tell("fabric", ("news", n))
        await asyncio.sleep(0.3)
        assert got == [("service", "news", n) for n in range(3)]
        assert service.told == {"fabric": 3}
        got.clear()

        with monkeypatch.context() as busy:
            busy.setattr("quoit.adapters.buses.apart.NEWS_BACKLOG", 0)
            service.tell("fabric", ("left out",))
        service.tell("fabric", ("news", 4))
        await asyncio.sleep(0.3)
        assert got == [("service", 1), ("service", "news", 4)]
        got.clear()

        with monkeypatch.context() as busy:
            busy.setattr("quoit.adapters.buses.apart.NEWS_BACKLOG", 0)
            service.tell("fabric", ("left out",))
        fabric.promised("service", 6)  # it may still be on its way
        assert got == []
        fabric.promised("service", 6)
        fabric.promised("service", 6)
        assert got == [("service", 1)]
        fabric._take_news("service", b"\xc1")
        assert got == [("service", 1)] * 2

        await service.close()
        again = PartBus(bus.server.url, "service", bus.identity("service"))
        await again.connect(never, never)
        again.meet(PARTS[:2], [0, 1], never, never)
        got.clear()
        again.tell("fabric", ("back",))
        await asyncio.sleep(0.3)
        assert got == [("service", "back")]
        for one in (fabric, again):
            await one.close()

    on_a_bus(tmp_path, story)
