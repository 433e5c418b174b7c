"""What a key costs: a live twin with durable stores in a process of its own, asked over mutual TLS.

The process serves both KMEs of a two-node network (so it pays for the master's and the peer's commit) and,
through the same kind of listener, an application that always answers the same bytes: the price of TLS and
HTTP alone. Clients run in this process, on the other core where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from quoit.interfaces.http_edge import Answer, Fixed
from quoit.interfaces.identity import Identities
from quoit.interfaces.listener import ListenerLimits, listen
from quoit.scenario.host import Host
from quoit.scenario.host_options import HostOptions

NETWORK = """
quoit: 1
name: bench
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 1 km, attenuation: 0.2 dB/km}]
links: [{between: [alice, bob], protocol: rated, rate: 12 Mbit/s, capacity: 300 Mbit, initial_pool: 300 Mbit}]
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app, greedy-app]}
  - {sae: greedy-app, kme: kme-alice, allow: [bob-app]}
policies: {stream_low: 12 Mbit, stream_high: 16 Mbit, commit_time: 4ms}
"""
ANSWER = b'{"keys":[{"key_ID":"3f0a1d1e-7a3a-4b1e-9a44-5d6f8f1a2b3c","key":"' + b"A" * 43 + b'="}]}'
SINGLE = "/api/v1/keys/bob-app/enc_keys"
BATCH = f"{SINGLE}?number=64"
CONNECTIONS = 32


async def _serve(directory: Path) -> None:
    # Standard output is for what is told; nobody empties it afterwards.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    host = Host(NETWORK, HostOptions(directory, port=0), "bench.yaml")
    await host.start()
    door = host.doors.of_kmes["kme-alice"]
    identities = Identities.of([(a.sae, a.urn) for a in host.twin.attachments.values()])
    constant = await listen(
        Fixed(Answer(200, ANSWER)),
        "127.0.0.1",
        0,
        door.context,
        {},
        identify=identities.read,
        limits=ListenerLimits(),
    )
    leaf, greedy = host.doors.apps["alice-app"], host.doors.apps["greedy-app"]
    told = {
        "keys": [door.listener.address, door.listener.port],
        "constant": [constant.address, constant.port],
        "ca": str(host.authority.root_pem),
        "cert": str(leaf.chain),
        "key": str(leaf.key),
        "greedy_cert": str(greedy.chain),
        "greedy_key": str(greedy.key),
    }
    print(json.dumps(told), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the parent goes
    await constant.close()
    await host.stop()


@dataclass
class Served:
    """The server process as its clients see it."""

    pid: int
    told: dict[str, Any]

    def cpu_s(self) -> float:
        """Processor time of all its threads so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.told["ca"])
        context.load_cert_chain(self.told["cert"], self.told["key"])
        context.check_hostname = False
        return context


@contextlib.contextmanager
def server(core: int | None) -> Iterator[Served]:
    """The server in a process of its own, on the core given."""
    with tempfile.TemporaryDirectory(prefix="quoit-bench-") as directory:
        command = [sys.executable, "-m", "quoit.testing.bench.keys", directory]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdin is not None
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server of the benchmark did not come up")
            yield Served(process.pid, json.loads(line))
        finally:
            process.stdin.close()
            process.wait()


class _Client:
    """One keep-alive connection that asks again as soon as it is answered. Sockets and a selector, because
    asyncio's streams cost more than the server under test."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, path: str) -> None:
        self.socket = context.wrap_socket(socket.create_connection(address))
        self.latencies_s: list[float] = []
        self._request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        self._answer = b""
        self._wanted = 0
        self._began = 0.0

    def ask(self) -> None:
        self._answer, self._wanted = b"", 0
        self._began = time.perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> bool:
        """Take what has come; True when the answer is whole."""
        while True:
            got = self.socket.recv(65_536)
            if not got:
                raise RuntimeError("the server closed the connection")
            self._answer += got
            if not self.socket.pending():
                break
        if not self._wanted:
            head, found, _ = self._answer.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the server refused: {self._answer!r}")
            self._wanted = len(head) + 4 + int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._answer) < self._wanted:
            return False
        self.latencies_s.append(time.perf_counter() - self._began)
        return True


@dataclass(frozen=True)
class Load:
    """What a load took: answers, seconds of wall, of the server's processor, and each answer's latency."""

    answers: int
    wall_s: float
    cpu_s: float
    latencies_s: list[float]


def load(served: Served, which: str, path: str, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Keep so many connections asking for so long."""
    context = served.context()
    address = (served.told[which][0], served.told[which][1])
    clients = [_Client(address, context, path) for _ in range(connections)]
    with selectors.DefaultSelector() as ready:
        for client in clients:
            ready.register(client.socket, selectors.EVENT_READ, client)
        cpu, began = served.cpu_s(), time.perf_counter()
        for client in clients:
            client.ask()
        waiting = connections
        while waiting:
            for key, _ in ready.select():
                if key.data.read():
                    if time.perf_counter() - began < seconds:
                        key.data.ask()
                    else:
                        waiting -= 1
        wall_s, cpu_s = time.perf_counter() - began, served.cpu_s() - cpu
    for client in clients:
        client.socket.close()
    latencies = sorted(one for client in clients for one in client.latencies_s)
    return Load(len(latencies), wall_s, cpu_s, latencies)


@contextlib.contextmanager
def apart() -> Iterator[int | None]:
    """Keep this process to one core and give the other one's number, if there is one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield None
        return
    os.sched_setaffinity(0, {cores[1]})
    try:
        yield cores[0]
    finally:
        os.sched_setaffinity(0, cores)


def loads(seconds: float) -> dict[str, Load]:
    """Loads by name: `constant`, `single` and `batch` (of 64)."""
    with apart() as core, server(core) as served:
        load(served, "keys", SINGLE, seconds / 4)  # streams are filled, code is warm
        return {
            "constant": load(served, "constant", "/", seconds),
            "single": load(served, "keys", SINGLE, seconds),
            "batch": load(served, "keys", BATCH, seconds),
        }


def figures(seconds: float) -> Iterator[tuple[str, float, str, float | None, bool | None]]:
    """(name, value, unit, bound, holds): processor time against the constant server, keys per second of one core."""
    found = loads(seconds)
    constant, single, batch = (found[name] for name in ("constant", "single", "batch"))
    per_constant, per_single = constant.cpu_s / constant.answers, single.cpu_s / single.answers
    yield "constant answer, server's CPU", round(per_constant * 1e3, 3), "ms", None, None
    yield "enc_keys, one key, server's CPU", round(per_single * 1e3, 3), "ms", None, None
    ratio = per_single / per_constant
    yield "enc_keys CPU against a constant answer", round(ratio, 2), "x", 4.0, ratio <= 4
    for name, load, keys, bound in (("single", single, 1, 1_000), ("batches of 64", batch, 64, 20_000)):
        rate = load.answers * keys / load.cpu_s
        yield f"keys per CPU second, {name}", round(rate), "keys/s", bound, rate >= bound
        yield f"keys per second, {name}", round(load.answers * keys / load.wall_s), "keys/s", None, None
    p99 = single.latencies_s[int(len(single.latencies_s) * 0.99)]
    yield "enc_keys p99 at 32 connections", round(p99 * 1e3, 1), "ms", None, None


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
