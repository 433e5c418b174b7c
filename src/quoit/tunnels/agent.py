"""The rotation that every kind of tunnel shares: a fresh key every few seconds, and life on the last one without.

Wire format between agents: one JSON object a line over TLS 1.3, each end with its application's certificate (`line`).
The initiator says {"key_ID": ..., "turn": n}; the responder answers {"turn": n, "installed": true} or {"turn": n,
"refused": "why"}. Without TLS, whoever alters these lines can keep a tunnel from rotating, which both agents report;
he learns no key and cannot choose one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx2
import msgspec

from quoit.interfaces.etsi014.client import AsyncKme014, KmeRefusal
from quoit.model.secret import Secret
from quoit.tunnels.line import Line, Stranger

LINE_BYTES = 4096
ANSWER_S = 15.0
HANDSHAKE_S = 5.0


class Tunnel(Protocol):
    """One end of a tunnel. Both methods raise `TunnelFault` with the program's own words."""

    async def install(self, key_id: str, key: Secret) -> None:
        """Use this key of 256 bits from now on, as soon as the other end does."""
        ...

    async def activate(self) -> None:
        """Both ends have the key: begin to use it. Called at the initiator's end only."""
        ...


class TunnelFault(Exception):
    """The tunnel's program refused; the text says what it said."""


class Report(msgspec.Struct):
    """What an agent has done, for its last word and for tests. Times in seconds of the host's monotonic clock."""

    rotations: int = 0
    refused: int = 0
    longest_on_one_key_s: float = 0.0


FAULTS = (KmeRefusal, TunnelFault, Stranger, httpx2.HTTPError, OSError)
"""What may go wrong on the way to a fresh key, none of it this agent's end."""

Tell = Callable[[dict[str, Any]], None]


class Agent:
    """State that both roles share: how old the key in use is, and what was told about it."""

    def __init__(
        self, kme: AsyncKme014, peer: str, tunnel: Tunnel, every_s: float, tell: Tell, line: Line | None = None
    ) -> None:
        """`line` None: without TLS."""
        self.line = line
        self.kme = kme
        self.peer = peer
        self.tunnel = tunnel
        self.every_s = every_s
        self.report = Report()
        self._tell = tell
        self._since = time.monotonic()
        self._stale = False

    def rotated(self, key_id: str) -> None:
        """A fresh key is in use."""
        age = self._age()
        if self._stale:
            self._tell({"event": "resumed", "seconds_without_fresh_key": round(age, 1)})
        self._tell({"event": "rotated", "key_ID": key_id})
        self.report.rotations += 1
        self._since, self._stale = time.monotonic(), False

    def failed(self, why: str) -> None:
        """There is no fresh key: the tunnel lives on its last one."""
        self.report.refused += 1
        age = self._age()
        if not self._stale and age > 2 * self.every_s:
            self._stale = True
        self._tell({"event": "no fresh key", "why": why, "age_of_key_s": round(age, 1)})

    def _age(self) -> float:
        age = time.monotonic() - self._since
        self.report.longest_on_one_key_s = max(self.report.longest_on_one_key_s, age)
        return age


class Initiator(Agent):
    """Opens keys and leads."""

    async def run(self, host: str, port: int, rotations: int | None = None) -> None:
        """Rotate every `every_s` seconds, `rotations` times or for ever; the responder listens at `host:port`."""
        turn = 0
        while rotations is None or self.report.rotations < rotations:
            turn += 1
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._rotate(host, port, turn)
            except (*FAULTS, TimeoutError, ValueError) as fault:
                self.failed(str(fault) or type(fault).__name__)
            await asyncio.sleep(max(0.0, began + self.every_s - time.monotonic()))

    async def _rotate(self, host: str, port: int, turn: int) -> None:
        (key,) = await self.kme.enc_keys(self.peer, 1, 256)
        tls = None if self.line is None else self.line.client()
        reader, writer = await asyncio.open_connection(host, port, limit=LINE_BYTES, ssl=tls)
        try:
            if self.line is not None:
                self.line.must_be(self.peer, writer)
            writer.write(msgspec.json.encode({"key_ID": key.key_id, "turn": turn}) + b"\n")
            await writer.drain()
            answer = msgspec.json.decode(await reader.readline() or b"{}")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if answer.get("turn") != turn or not answer.get("installed"):
            raise TunnelFault(f"the other end did not install the key: {answer.get('refused', 'no answer')}")
        await self.tunnel.install(key.key_id, key.value)
        await self.tunnel.activate()
        self.rotated(key.key_id)


class Responder(Agent):
    """Takes the keys that the initiator's agent names."""

    async def run(self, host: str, port: int, ready: Callable[[int], None] | None = None) -> None:
        """Answer at `host:port` (0: any free one) for ever; `ready` hears the port."""
        tls = None if self.line is None else self.line.server()
        wait_s = None if tls is None else HANDSHAKE_S
        server = await asyncio.start_server(
            self._serve, host, port, limit=LINE_BYTES, ssl=tls, ssl_handshake_timeout=wait_s
        )
        if ready is not None:
            ready(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.line is not None:
                self.line.must_be(self.peer, writer)
        except Stranger as stranger:
            self._tell({"event": "stranger", "why": str(stranger)})
            writer.close()
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                asked = msgspec.json.decode(await reader.readline(), type=_Turn)
                writer.write(msgspec.json.encode(await self._take(asked)) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError) as fault:
            self.failed(str(fault) or type(fault).__name__)
        finally:
            writer.close()

    async def _take(self, asked: _Turn) -> dict[str, Any]:
        try:
            (key,) = await self.kme.dec_keys(self.peer, [asked.key_ID])
            await self.tunnel.install(key.key_id, key.value)
        except FAULTS as fault:
            self.failed(str(fault) or type(fault).__name__)
            return {"turn": asked.turn, "refused": str(fault)}
        self.rotated(key.key_id)
        return {"turn": asked.turn, "installed": True}


class _Turn(msgspec.Struct):
    key_ID: str  # noqa: N815 - ETSI GS QKD 014's spelling
    turn: int
