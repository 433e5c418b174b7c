"""Real tunnels in namespaces of their own, keyed by a live twin: rotation under traffic, and none with a wrong key."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quoit.testing import namespaces
from quoit.testing.namespaces import INNER, Cable, Missing, lines, pinged

pytestmark = [pytest.mark.live, pytest.mark.trial, pytest.mark.xdist_group("namespaces")]
TWO_NODES = Path(__file__).parents[2] / "examples" / "two-nodes.yaml"


def needs(*programs: str) -> None:
    try:
        namespaces.need(*programs)
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("tunnels") / "run"
    command = [sys.executable, "-m", "quoit.cli.main", "up", str(TWO_NODES), "--dir", str(directory), "--port", "0"]
    process = subprocess.Popen([*command, "--from", "30s", "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    yield directory
    process.send_signal(signal.SIGINT)
    process.wait(30)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    needs()
    with Cable(tmp_path) as made:
        yield made


def agents(twin: Path, kind: str, a: list[str], b: list[str], *options: str) -> tuple[Any, Any]:
    """The responder's and the initiator's agent, as processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = [sys.executable, "-m", "quoit.cli.main", "tunnel", kind, "--dir", str(twin), "--agent", f"127.0.0.1:{port}"]
    responder = subprocess.Popen(
        [*base, "--sae", "bob-app", "--peer", "alice-app", *b], stdout=subprocess.PIPE, text=True
    )
    assert next(lines(responder)) == {"event": "ready", "port": port}
    initiator = subprocess.Popen(
        [*base, "--initiate", "--sae", "alice-app", "--peer", "bob-app", *a, *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    return initiator, responder


def ended(initiator: Any, responder: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What both have told, once the initiator's has ended."""
    out, _ = initiator.communicate(timeout=90)
    responder.send_signal(signal.SIGTERM)
    other, _ = responder.communicate(timeout=20)
    return [json.loads(line) for line in out.splitlines()], [json.loads(line) for line in other.splitlines()]


def names(told: list[dict[str, Any]]) -> list[str]:
    return [e["key_ID"] for e in told if e["event"] == "rotated"]


def test_wireguard_rotates_under_traffic(twin: Path, cable: Cable) -> None:
    needs("wg", "wireguard-go")
    (ia, pa), (ib, pb) = cable.wireguard()
    a, b = ["--interface", ia, "--public-key", pa], ["--interface", ib, "--public-key", pb]
    both = agents(twin, "wireguard", a, b, "--every", "1500ms", "--rotations", "4")
    time.sleep(0.5)
    ping = cable.ping(100)
    told, other = ended(*both)
    assert len(set(names(told))) == 4
    assert names(told) == names(other)
    sent, received = pinged(ping)
    assert received >= 0.9 * sent
    assert psk(ia, pa) == psk(ib, pb) != "(none)"


def test_wireguard_with_a_flipped_bit_carries_nothing(twin: Path, cable: Cable) -> None:
    needs("wg", "wireguard-go")
    (ia, pa), (ib, pb) = cable.wireguard()
    a, b = ["--interface", ia, "--public-key", pa], ["--interface", ib, "--public-key", pb]
    ended(*agents(twin, "wireguard", a, b, "--every", "1s", "--rotations", "1"))
    sent, received = pinged(cable.ping(10))
    assert received == sent
    flip(ib, pb)
    sent, received = pinged(cable.ping(10, 0.1))
    assert received == 0


def psk(interface: str, peer: str) -> str:
    rows = namespaces.run("wg", "show", interface, "preshared-keys").splitlines()
    return next(row.split("\t")[1] for row in rows if row.startswith(peer))


def flip(interface: str, peer: str) -> None:
    """Set the peer up anew with one bit of its key turned over."""
    import base64

    raw = bytearray(base64.b64decode(psk(interface, peer)))
    raw[7] ^= 1
    settings = ["allowed-ips", f"{INNER[0]}/32", "endpoint", f"{namespaces.OUTER[0]}:51820"]
    namespaces.run("wg", "set", interface, "peer", peer, "remove")
    key = base64.b64encode(bytes(raw)).decode()
    namespaces.run("wg", "set", interface, "peer", peer, "preshared-key", "/dev/stdin", *settings, stdin=key)


def test_strongswan_rotates_its_ppk_under_traffic(twin: Path, cable: Cable) -> None:
    needs("charon-systemd", "unshare")
    pytest.importorskip("vici")
    (ca, va), (cb, vb) = cable.strongswan()
    a, b = ["--connection", str(ca), "--vici", str(va)], ["--connection", str(cb), "--vici", str(vb)]
    both = agents(twin, "strongswan", a, b, "--every", "2s", "--rotations", "4")
    time.sleep(2.5)
    ping = cable.ping(100, source=INNER[0])
    told, other = ended(*both)
    assert len(set(names(told))) == 4
    assert names(told) == names(other)
    sent, received = pinged(ping)
    assert received >= 0.25 * sent  # on a busy machine the first key comes when many pings have gone
    log = (cable.files(0) / "charon.log").read_text()
    assert all(f"loaded PPK shared key with id '{name}@quoit'" in log for name in names(told))


def test_strongswan_with_a_flipped_bit_makes_no_tunnel(twin: Path, cable: Cable) -> None:
    needs("charon-systemd", "unshare")
    pytest.importorskip("vici")
    from quoit.model.secret import Secret
    from quoit.tunnels.agent import TunnelFault
    from quoit.tunnels.strongswan import StrongSwan

    (ca, va), (cb, vb) = cable.strongswan()
    one = StrongSwan(str(va), "quoit", json.loads(ca.read_text()), "net", initiate=True)
    two = StrongSwan(str(vb), "quoit", json.loads(cb.read_text()), "net", initiate=False)
    key = bytearray(os.urandom(32))

    async def attempt() -> None:
        await one.install("name", Secret(bytes(key)))
        key[3] ^= 1
        await two.install("name", Secret(bytes(key)))
        await one.activate()

    import asyncio

    with pytest.raises(TunnelFault, match="strongSwan"):
        asyncio.run(attempt())


def test_tls_takes_a_fresh_key_for_each_connection(twin: Path, cable: Cable) -> None:
    needs("stunnel")
    (sa, pa), (sb, pb) = cable.stunnel(7001, 7002)
    with _echo(cable):
        assert not _says(cable, "before the first key")
        a, b = ["--secrets", str(sa), "--pid-file", str(pa)], ["--secrets", str(sb), "--pid-file", str(pb)]
        both = agents(twin, "tls", a, b, "--every", "1s", "--rotations", "4")
        answers: list[bool] = []
        meanwhile = threading.Thread(target=lambda: answers.extend(_says(cable, f"{n}") for n in range(12)))
        while "not-yet-keyed" in sa.read_text():
            time.sleep(0.05)
        meanwhile.start()
        told, other = ended(*both)
        meanwhile.join()
        assert names(told) == names(other)
        assert answers.count(False) <= 1  # one that began in the instant in which stunnel read its keys anew
        assert sa.stat().st_mode & 0o077 == 0
        text = sb.read_text()
        sb.write_text(text.replace("0", "1"))
        os.kill(int(pb.read_text()), signal.SIGHUP)
        time.sleep(0.5)
        assert not _says(cable, "with other bits")


SERVER = """
import socket
with socket.create_server(("127.0.0.1", 7002)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(connection.recv(100)[::-1])
"""
CLIENT = """
import socket, sys
try:
    with socket.create_connection(("127.0.0.1", 7001), timeout=3) as s:
        s.sendall(sys.argv[1].encode())
        print(s.recv(100).decode(), end="")
except OSError:
    pass
"""


@contextlib.contextmanager
def _echo(cable: Cable) -> Iterator[None]:
    cable.keep(1, sys.executable, "-c", SERVER)
    time.sleep(0.5)
    yield


def _says(cable: Cable, text: str) -> bool:
    """Whether the far end's server answers through the tunnel."""
    time.sleep(0.1)
    return cable.on(0, sys.executable, "-c", CLIENT, text) == text[::-1]


@pytest.mark.realises("G2", "I2")
def test_the_scene_is_as_it_says() -> None:
    needs("wg", "wireguard-go")
    command = [sys.executable, "-m", "quoit.cli.main", "scene", "--every", "2", "--calm", "3"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "compromised bits delivered: 0" in done.stdout
