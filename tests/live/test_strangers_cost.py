"""What somebody without a certificate costs a live twin: a stated bound of memory each, and of them all (S3)."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from quoit.interfaces.listener import ListenerLimits

KIB_EACH = 200
"""What docs/promises.md states for one connection that has not shown a certificate."""
STRANGERS, IN_ALL = 400, 1_000


def resident_kib(pid: int) -> int:
    """Memory of a process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmRSS of {pid}")


def twin_under(url: str) -> int:
    """The process that listens there."""
    port = f":{urlsplit(url).port:04X}"
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(port) and line.split()[3] == "0A"
    }
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = entry.readlink()
        except OSError:
            continue
        if any(str(target) == f"socket:[{inode}]" for inode in inodes):
            return int(entry.parts[2])
    raise AssertionError(f"nobody listens at {url}")


def begun(host: str, port: int, stack: ExitStack) -> None:
    """A handshake up to the client's first message, and not a byte more."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(inside, outside)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    line = stack.enter_context(socket.create_connection((host, port), 5))
    line.sendall(outside.read())


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="memory of a process is read from /proc")
@pytest.mark.realises("G3")
def test_s3_a_stranger_costs_a_stated_bound_of_memory(tmp_path: Path, live_twin: Any) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(Path("examples/two-nodes.yaml").read_text())
    with live_twin(file, tmp_path / "run") as doors, ExitStack() as stack:
        app = doors["applications"]["alice-app"]
        parts = urlsplit(app["url"])
        good = ssl.create_default_context(cafile=doors["ca"])
        good.load_cert_chain(app["cert"], app["key"])
        client = stack.enter_context(httpx2.Client(base_url=app["url"], verify=good))
        path = "/api/v1/keys/bob-app/status"
        assert client.get(path).status_code == 200
        process = twin_under(app["url"])
        before = resident_kib(process)
        for number in range(STRANGERS):
            if number % 2:
                begun(str(parts.hostname), int(parts.port or 0), stack)
            else:
                stack.enter_context(socket.create_connection((parts.hostname, parts.port), 5))
        assert client.get(path).status_code == 200, "who was there goes on being served"
        grown = resident_kib(process) - before
        assert grown < KIB_EACH * STRANGERS, f"{grown / STRANGERS:.0f} KiB each"
        end = time.monotonic() + 60
        while time.monotonic() < end:
            # They are cut at the handshake's limit, and somebody new gets in.
            with httpx2.Client(base_url=app["url"], verify=good) as another:
                if another.get(path).status_code == 200:
                    break
        assert client.get(path).status_code == 200


def test_the_bound_of_all_is_the_number_of_connections_times_that() -> None:
    assert ListenerLimits().in_all == IN_ALL
