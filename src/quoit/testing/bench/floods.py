"""What a good client notices of floods, what a handshake costs, what durability costs.

The good client asks for one key at a time over one connection, again as soon as it is answered. Each flood comes from
a process of its own; on two cores it takes processor time from the good client too, so the figures are upper bounds.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

from quoit.adapters.stores.sqlite import SqliteStore
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, OpenOp
from quoit.testing.bench.keys import SINGLE, Load, Served, load, server

FLOODS = ("stuck handshakes", "slow headers", "slow bodies", "handshakes", "keys of another")
SOCKETS = 200
WARM_S = 5.0
PATIENCE_S = 10.0
"""How long a good client waits for an answer."""


def _tls(served: Served, cert: str = "cert", key: str = "key") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=served.told["ca"])
    context.load_cert_chain(served.told[cert], served.told[key])
    context.check_hostname = False
    return context


def _flood(kind: str, served: Served, seconds: float) -> int:
    """Be that flood for so long; how many connections or requests it made."""
    end = time.monotonic() + seconds
    address = (served.told["keys"][0], served.told["keys"][1])
    context = _tls(served, "greedy_cert", "greedy_key")
    begin: dict[str, Callable[[], socket.socket]] = {
        "stuck handshakes": lambda: socket.create_connection(address, timeout=5),
        "slow headers": lambda: _say(context, address, b"GET /api/v1/keys/bob-app/enc_keys HTTP/1.1\r\nho"),
        "slow bodies": lambda: _say(
            context,
            address,
            b"POST /api/v1/keys/bob-app/enc_keys HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 1000\r\n\r\n{",
        ),
        "handshakes": lambda: context.wrap_socket(socket.create_connection(address, timeout=5)),
        "keys of another": lambda: _say(context, address, f"GET {SINGLE} HTTP/1.1\r\nhost: x\r\n\r\n".encode()),
    }
    held: list[socket.socket] = []
    made = 0
    while time.monotonic() < end:
        try:
            held.append(begin[kind]())
            made += 1
        except OSError:
            time.sleep(0.005)
        if kind in ("handshakes", "keys of another") or len(held) > SOCKETS:
            if kind == "keys of another":
                with contextlib.suppress(OSError):
                    made += _keep_asking(held[-1], end)
            with contextlib.suppress(OSError):
                held.pop(0).close()
    return made


def _say(context: ssl.SSLContext, address: tuple[str, int], text: bytes) -> socket.socket:
    connection = context.wrap_socket(socket.create_connection(address, timeout=5))
    connection.sendall(text)
    return connection


def _keep_asking(connection: socket.socket, end: float) -> int:
    """Ask for keys over one connection until the time is up."""
    asked = 0
    while time.monotonic() < end:
        if not connection.recv(65_536):
            break
        connection.sendall(f"GET {SINGLE} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        asked += 1
    return asked


@contextlib.contextmanager
def _under(kind: str, served: Served, seconds: float) -> Iterator[None]:
    command = [sys.executable, "-m", "quoit.testing.bench.floods", kind, str(seconds)]
    told = [
        str(part) for part in (*served.told["keys"], *(served.told[k] for k in ("ca", "greedy_cert", "greedy_key")))
    ]
    process = subprocess.Popen([*command, *told], stdout=subprocess.PIPE)
    time.sleep(1.0)  # it has begun, and holds what it can hold
    try:
        yield
    finally:
        process.wait(30 + seconds)


def handshakes_per_s(served: Served, seconds: float) -> float:
    """Full handshakes of one client after another, each with its certificate."""
    context = _tls(served)
    context.options |= ssl.OP_NO_TICKET
    address = (served.told["keys"][0], served.told["keys"][1])
    began, made = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        context.wrap_socket(socket.create_connection(address)).close()
        made += 1
    return made / (time.perf_counter() - began)


def commits_per_s(level: str, batch: int, seconds: float) -> float:
    """Keys opened per second by one store, `batch` in one commit, with SQLite's `synchronous` at this level."""

    class Store(SqliteStore):
        def _prepare(self, path: Path) -> None:
            super()._prepare(path)
            self._db.pragma("synchronous", level)

    with tempfile.TemporaryDirectory(prefix="quoit-bench-") as name:
        store = Store(Path(name))
        opened, start = 0, 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            if start < 256 * (opened + batch):
                store.execute([AppendOp("a>b", start, Secret(os.urandom(8192)), (), True)])
                start += 65_536
            ops: list[Any] = [OpenOp("a>b", (f"k{opened + i}",), 256, "m", ("s",), None, opened) for i in range(batch)]
            store.execute(ops)
            opened += batch
        rate = opened / (time.perf_counter() - began)
        store.close()
    return rate


@dataclass(frozen=True)
class Felt:
    """What a good client felt: `ratio` of its requests that were answered with a key, and how long they took."""

    asked: int
    answered: int
    p99_ms: float

    @property
    def ratio(self) -> float:
        """1.0: every request."""
        return self.answered / self.asked if self.asked else 0.0

    def row(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "success_ratio": round(self.ratio, 4),
            "p99_ms": round(self.p99_ms, 1),
        }


def felt(served: Served, seconds: float, path: str = SINGLE) -> Felt:
    """Be a good client for so long: one request at a time, another connection when the last one was cut."""
    address: tuple[str, int] = (served.told["keys"][0], served.told["keys"][1])
    context = _tls(served)
    latencies: list[float] = []
    asked = 0
    began = time.perf_counter()
    connection = HTTPSConnection(*address, timeout=PATIENCE_S, context=context)
    while time.perf_counter() - began < seconds:
        asked += 1
        sent = time.perf_counter()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            connection.close()  # the next request opens another one
            continue
        if answer.status == 200:
            latencies.append(time.perf_counter() - sent)
    connection.close()
    latencies.sort()
    return Felt(asked, len(latencies), latencies[int(len(latencies) * 0.99)] * 1e3 if latencies else math.inf)


def rows(seconds: float, kinds: Sequence[str] = FLOODS) -> dict[str, dict[str, Any]]:
    """What a good client felt alone, and under each flood, each for so long."""
    with server(None) as served:
        felt(served, WARM_S)  # streams are filled, code is warm
        found = {"none": felt(served, seconds).row()}
        for kind in kinds:
            with _under(kind, served, seconds + 2):
                found[kind] = felt(served, seconds).row()
    return found


def _p99_ms(found: Load) -> float:
    return found.latencies_s[int(len(found.latencies_s) * 0.99)] * 1e3


def figures(seconds: float) -> Iterator[tuple[str, float, str, float | None, bool | None]]:
    """(name, value, unit, bound, holds). No bounds: they are ratios that depend on the machine's cores."""
    with server(None) as served:
        load(served, "keys", SINGLE, seconds / 2, 1)
        alone = load(served, "keys", SINGLE, seconds, 1)
        yield "good client alone", round(alone.answers / alone.wall_s), "requests/s", None, None
        yield "good client alone, p99", round(_p99_ms(alone), 1), "ms", None, None
        for kind in FLOODS:
            with _under(kind, served, seconds + 2):
                found = load(served, "keys", SINGLE, seconds, 1)
            yield f"good client under {kind}", round(found.answers / found.wall_s), "requests/s", None, None
            yield f"good client under {kind}, p99", round(_p99_ms(found), 1), "ms", None, None
            ratio = _p99_ms(found) / _p99_ms(alone)
            yield f"p99 under {kind} against alone", round(ratio, 2), "x", None, None
        yield "full handshakes, one client", round(handshakes_per_s(served, seconds)), "handshakes/s", None, None
    for batch in (1, 16):
        full, normal = (commits_per_s(level, batch, seconds) for level in ("full", "normal"))
        yield f"store, {batch} keys a commit, synchronous=FULL", round(full), "keys/s", None, None
        yield f"cost of FULL against NORMAL, {batch} keys a commit", round(normal / full, 2), "x", None, None


if __name__ == "__main__":
    _kind, _seconds, _host, _port, _ca, _cert, _key = sys.argv[1:]
    _told = {"keys": [_host, int(_port)], "ca": _ca, "greedy_cert": _cert, "greedy_key": _key}
    print(_flood(_kind, Served(0, _told), float(_seconds)))
