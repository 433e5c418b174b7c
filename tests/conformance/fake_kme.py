"""Two KMEs in memory behind a Gate, and a bench that serves one of them over real mTLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx2

from quoit.adapters.crypto.pki import Authority, Issued
from quoit.interfaces.etsi014.codec import STRICT, Compat
from quoit.interfaces.identity import Identities
from quoit.interfaces.listener import Listener, ListenerLimits, listen
from quoit.interfaces.northbound import make_app
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime.wire import Message
from quoit.service.api import (
    CloseUnit,
    GetStatus,
    GetUnit,
    Key,
    Keys,
    ListUnits,
    OpenKeys,
    OpenUnit,
    Status,
    TakeKeys,
    Unit,
    Units,
    UnitsChanged,
)

URNS = {name: f"urn:qkd:test:{name}" for name in ("alice", "bob", "carol", "dave")}
USUAL = ListenerLimits()
SAES = frozenset({*URNS, "sae/with slash%"})


class FakeGate:
    """Keys and units by the letter of 014 cl. 5.2 to 5.4; one store for all KMEs; `stock` keys to give."""

    def __init__(self, stock: int = 1000) -> None:
        self.stock = stock
        self.asked: list[Message] = []
        self.keys: dict[str, tuple[bytes, str, set[str]]] = {}
        self.units: dict[str, Unit] = {}
        self._watchers: list[asyncio.Queue[Message]] = []

    def now_ns(self) -> int:
        return 5_000_000_000

    def unix_s(self, at_ns: int) -> float:
        return 1_750_000_000 + at_ns / 1e9

    async def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)

    def publish(self, msg: Message) -> None:
        for queue in self._watchers:
            queue.put_nowait(msg)

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Message:
        assert to == "kme-a"
        self.asked.append(msg)
        match msg:
            case GetStatus():
                self._known(msg.slave)
                return Status(
                    to, "kme-b", msg.caller, msg.slave, 256, self.stock, 1000, 128, 4096, 64, 4, refill_bps=1500.5
                )
            case OpenKeys():
                return self._open(msg)
            case TakeKeys():
                return self._take(msg)
            case OpenUnit():
                return self._open_unit(msg)
            case GetUnit() | CloseUnit():
                return self._unit(msg)
            case ListUnits():
                mine = [u for u in self.units.values() if URNS[msg.caller] in u.endpoints]
                return Units(tuple(u for u in mine if msg.state in (None, u.state))[: msg.limit])
        raise AssertionError(msg)

    def _known(self, *names: str) -> None:
        if not SAES.issuperset(names):
            raise Problem("unknown-sae", "no application of this name can be reached")

    def _open(self, msg: OpenKeys) -> Keys:
        self._known(msg.slave, *msg.additional)
        if msg.number > self.stock:
            raise Problem("no-key-material", f"{self.stock} keys are there", retry_after_s=1.2)
        self.stock -= msg.number
        given = []
        for key_id in msg.key_ids:
            value = (key_id.encode() * 200)[: (msg.size_bits or 256) // 8]
            self.keys[key_id] = (value, msg.caller, {msg.slave, *msg.additional})
            given.append(Key(key_id, Secret(value)))
        return Keys(tuple(given))

    def _take(self, msg: TakeKeys) -> Keys:
        for key_id in msg.key_ids:
            if key_id not in self.keys or not (msg.any_master or self.keys[key_id][1] == msg.master):
                raise Problem("key-not-found", "of the key that alice opened")
            if msg.caller not in self.keys[key_id][2]:
                raise Problem("not-authorised", "bob and carol are its parties")
        taken = tuple(Key(key_id, Secret(self.keys[key_id][0])) for key_id in msg.key_ids)
        for key_id in msg.key_ids:
            value, master, parties = self.keys.pop(key_id)
            if parties - {msg.caller}:
                self.keys[key_id] = (value, master, parties - {msg.caller})
        return Keys(taken)

    def _open_unit(self, msg: OpenUnit) -> Unit:
        if not all(urn.startswith("urn:") for urn in (*msg.endpoints, msg.lifecycle)):
            raise Problem("malformed-urn", "expected urn:NID:NSS")
        unit = Unit(
            msg.unit_id, msg.endpoints, msg.lifecycle, msg.originator, "established", 256, 10**9, None, msg.unit_id
        )
        self.units[msg.unit_id] = unit
        return unit

    def _unit(self, msg: GetUnit | CloseUnit) -> Unit:
        unit = self.units.get(msg.unit_id)
        if unit is None:
            raise Problem("unknown-unit")
        if URNS[msg.caller] not in unit.endpoints:
            raise Problem("foreign-unit", f"it belongs to {unit.originator}", originator=unit.originator)
        return self.units.pop(msg.unit_id) if isinstance(msg, CloseUnit) else unit


class Bench:
    """An event loop in a thread, a PKI, and listeners of KME kme-a for blocking clients in the test."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "pki", "test")
        self.gate = FakeGate()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._kme = self.authority.issue_kme("kme-a", ["127.0.0.1"], ["localhost"])
        self._leaves: dict[str, Issued] = {}
        self._listeners: list[Listener] = []
        self.identities = Identities.of(
            [(sae, URNS.get(sae)) for sae in sorted(SAES)], is_revoked=self.authority.is_revoked
        )
        self.tls = self.authority.server_context(self._kme)
        self.main = self.serve()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def serve(
        self,
        compat: Compat = STRICT,
        limits: ListenerLimits = USUAL,
        app: Any = None,
        **more: Any,
    ) -> Listener:
        """Another listener at a free port."""
        app = app or make_app(self.gate, "kme-a", compat=compat)
        work = listen(app, "127.0.0.1", 0, self.tls, {}, identify=self.identities.read, limits=limits, **more)
        listener: Listener = self.run(work)
        self._listeners.append(listener)
        return listener

    def leaf(self, sae: str) -> Issued:
        if sae not in self._leaves:
            self._leaves[sae] = self.authority.issue_application(sae, URNS.get(sae))
        return self._leaves[sae]

    def url(self, listener: Listener | None = None) -> str:
        return f"https://127.0.0.1:{(listener or self.main).port}"

    def client(self, sae: str, listener: Listener | None = None) -> httpx2.Client:
        """A plain HTTP client with an application's certificate."""
        context = self.authority.client_context(self.leaf(sae))
        return httpx2.Client(base_url=self.url(listener), verify=context, trust_env=False, timeout=15)

    def close(self) -> None:
        for listener in self._listeners:
            self.run(listener.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextlib.contextmanager
def bench_in(directory: Path) -> Iterator[Bench]:
    bench = Bench(directory)
    try:
        yield bench
    finally:
        bench.close()


def change(unit_id: str, parties: tuple[str, ...], state: str = "established") -> UnitsChanged:
    return UnitsChanged("kme", (unit_id,), parties, ("requested", state), 7_000_000_000)
