"""Who is let in, and what is cut: ETSI GS QKD 014 V1.1.1 cl. 5.1 (mutual authentication) over real sockets, with
raw bytes where a client library would not send them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_kme import Bench, bench_in

from quoit.adapters.crypto.pki import Authority, client_context
from quoit.interfaces import listener as listening
from quoit.interfaces.listener import Census, Listener, ListenerLimits, listen

STATUS = b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: kme\r\n\r\n"
POST = b"POST /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: kme\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_in(tmp_path_factory.mktemp("transport")) as made:
        yield made


@pytest.fixture
def alice(bench: Bench) -> Iterator[httpx2.Client]:
    with bench.client("alice") as client:
        yield client


@pytest.fixture(scope="module")
def quick(bench: Bench) -> Listener:
    """Usual limits, but a refused sender is let go at once."""
    return bench.serve(limits=ListenerLimits(linger_s=0.05))


def connect(bench: Bench, listener: Listener | None = None, sae: str = "alice") -> ssl.SSLSocket:
    context = bench.authority.client_context(bench.leaf(sae))
    plain = socket.create_connection(("127.0.0.1", (listener or bench.main).port), timeout=15)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def answer_to(connection: ssl.SSLSocket, *parts: bytes) -> tuple[int, dict[str, object]]:
    """Send raw bytes; read until the server closes. Status 0: it closed without a word."""
    for part in parts:
        connection.sendall(part)
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ssl.SSLEOFError:
        pass
    connection.close()
    if not received:
        return 0, {}
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def status_on(connection: ssl.SSLSocket, raw: bytes = STATUS) -> int:
    """Send a request and read one whole answer; the connection stays open."""
    connection.sendall(raw)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1)
    length = next(line for line in received.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = b""
    while len(body) < int(length.split(b":")[1]):
        body += connection.recv(65536)
    return int(received.split()[1])


def turned_away(bench: Bench, context: ssl.SSLContext, reason: str) -> None:
    """No HTTP answer at all, and the listener knows the reason."""
    before = bench.main.handshakes_failed[reason]
    try:
        plain = socket.create_connection(("127.0.0.1", bench.main.port), timeout=15)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            assert connection.recv(1) == b""  # TLS 1.3: the client finds out when it reads
    except (ssl.SSLError, ConnectionError):
        pass
    bench.run(asyncio.sleep(0))
    assert bench.main.handshakes_failed[reason] == before + 1, bench.main.handshakes_failed


class Said:
    """A log that keeps its lines, whatever the process has configured before."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})


@contextlib.contextmanager
def heard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The lines about failures of the bench's listener."""
    said = Said()
    with monkeypatch.context() as patch:
        patch.setattr(bench.main._failures, "_log", said)
        yield said.lines


@pytest.mark.realises("I1")
def test_strangers_cannot_fill_the_log(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = sum(bench.main.handshakes_failed.values())
    with heard(bench, monkeypatch) as lines:
        for _ in range(300):
            socket.create_connection(("127.0.0.1", bench.main.port), timeout=15).close()
        deadline = time.monotonic() + 15
        while sum(bench.main.handshakes_failed.values()) < failed + 300 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(1.2)  # what was not said at once is said after a second
    about = [line for line in lines if line["event"] == "handshake.failed"]
    assert sum(line["times"] for line in about) == 300
    assert 1 <= len(about) < 20


def test_limit_memory_new_clients_are_refused_until_there_is_some(
    bench: Bench, alice: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alice.get("/api/v1/keys/bob/status").status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(listening, "HEADROOM_BYTES", 1 << 46)  # more than any machine gives
        with pytest.raises((ssl.SSLError, ConnectionError)), connect(bench):
            pass
        assert alice.get("/api/v1/keys/bob/status").status_code == 200  # who is in, is served
    with connect(bench) as connection:
        assert status_on(connection) == 200


def test_a_handshake_that_runs_out_of_memory_is_one_line_of_the_log(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def starved(*_: object, **__: object) -> None:
        raise MemoryError

    with heard(bench, monkeypatch) as lines, monkeypatch.context() as patch:
        patch.setattr(bench.loop, "connect_accepted_socket", starved, raising=False)
        for _ in range(20):
            with pytest.raises((ssl.SSLError, ConnectionError)), connect(bench):
                pass
        time.sleep(1.2)
    about = [line for line in lines if line["event"] == "handshake.failed"]
    assert sum(line["times"] for line in about) == 20
    assert {line["reason"] for line in about} == {"MemoryError"}
    assert len(about) <= 3
    with connect(bench) as connection:
        assert status_on(connection) == 200


# -- certificates ------------------------------------------------------------------------------------------


@pytest.mark.realises("I1")
def test_cl_5_1_no_certificate(bench: Bench) -> None:
    turned_away(bench, client_context(bench.authority.root_pem), "PEER_DID_NOT_RETURN_A_CERTIFICATE")


def test_cl_5_1_certificate_of_another_root(bench: Bench, tmp_path: Path) -> None:
    leaf = Authority(tmp_path / "other", "test").issue_application("alice")
    turned_away(
        bench, client_context(bench.authority.root_pem, leaf.chain, leaf.key), "unable to get local issuer certificate"
    )


def test_cl_5_1_expired_certificate(bench: Bench) -> None:
    past = Authority(bench.authority.directory, "test", now=lambda: datetime.now(UTC) - timedelta(days=3))
    leaf = past.issue_application("expired")
    turned_away(bench, client_context(bench.authority.root_pem, leaf.chain, leaf.key), "certificate has expired")


def test_cl_5_1_certificate_that_is_not_yet_valid(bench: Bench) -> None:
    to_come = Authority(bench.authority.directory, "test", now=lambda: datetime.now(UTC) + timedelta(days=3))
    leaf = to_come.issue_application("early")
    turned_away(bench, client_context(bench.authority.root_pem, leaf.chain, leaf.key), "certificate is not yet valid")


def test_cl_5_1_certificate_for_servers_only(bench: Bench) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    file = bench.authority.directory / "sae" / "server-only.pem"
    leaf = bench.authority._issue(file, "alice", [], [ExtendedKeyUsageOID.SERVER_AUTH], timedelta(hours=1))
    turned_away(bench, client_context(bench.authority.root_pem, leaf.chain, leaf.key), "unsuitable certificate purpose")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_cl_4_tls_1_2_and_1_3(bench: Bench, version: ssl.TLSVersion) -> None:
    context = bench.authority.client_context(bench.leaf("alice"))
    context.minimum_version = context.maximum_version = version
    plain = socket.create_connection(("127.0.0.1", bench.main.port), timeout=15)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(STATUS)
        assert connection.recv(12) == b"HTTP/1.1 200"
        cipher, _, _ = connection.cipher() or ("", "", 0)
        assert "GCM" in cipher or "CHACHA20" in cipher


def test_cl_4_no_cipher_without_forward_secrecy(bench: Bench) -> None:
    context = bench.authority.client_context(bench.leaf("alice"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256")
    turned_away(bench, context, "NO_SHARED_CIPHER")


def test_cl_5_1_an_unregistered_certificate_is_401_with_a_body(bench: Bench) -> None:
    with bench.client("mallory") as mallory:
        before = len(bench.gate.asked)
        for path in ("/api/v1/keys/bob/status", "/api/v1/keys/bob/enc_keys", "/api/v1/keys/nonsense"):
            answer = mallory.get(path)
            assert answer.status_code == 401
            assert answer.json()["message"].startswith("no verified client certificate")
        assert mallory.post("/api/v1/units", json={}).status_code == 401
        assert mallory.get("/api/v1/units/events").status_code == 401
        assert len(bench.gate.asked) == before


def test_cl_5_1_no_identity_in_the_scope_fails_closed(bench: Bench) -> None:
    from quoit.interfaces.northbound import make_app

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(make_app(bench.gate, "kme-a"))
        async with httpx2.AsyncClient(transport=transport, base_url="https://kme") as client:
            return await client.get("/api/v1/keys/bob/enc_keys")

    assert bench.run(ask()).status_code == 401


def test_cl_5_1_a_listener_must_require_certificates(bench: Bench) -> None:
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ValueError, match="must require a client certificate"):
        bench.run(listen(lambda *a: None, "127.0.0.1", 0, lax, {}, identify=bench.identities.read))


@pytest.mark.realises("I1")
def test_cl_5_1_revocation_shuts_out_new_live_and_resumed_connections(tmp_path: Path) -> None:
    with bench_in(tmp_path) as bench:
        context = bench.authority.client_context(bench.leaf("alice"))
        live = connect(bench)
        assert status_on(live) == 200
        session = live.session
        leaf = bench.leaf("alice")
        bench.authority.revoke(leaf.serial)

        # resumed: TLS does not look at the certificate again, the registry does
        plain = socket.create_connection(("127.0.0.1", bench.main.port), timeout=15)
        resumed = live.context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        assert resumed.session_reused
        assert status_on(resumed) == 401
        resumed.close()

        async def drop() -> int:
            return bench.main.drop(lambda peer: bench.authority.is_revoked(peer.serial))

        assert bench.run(drop()) >= 1
        with pytest.raises((ssl.SSLError, ConnectionError)):  # noqa: PT012 - either call may see it
            live.sendall(STATUS)
            if not live.recv(1):
                raise ConnectionError("closed")
        live.close()
        bench.authority.refresh_crl(bench.tls)
        turned_away(bench, context, "certificate revoked")
        with bench.client("bob") as bob:
            assert bob.get("/api/v1/keys/alice/status").status_code == 200


# -- requests that no library sends ------------------------------------------------------------------------

RAW = {
    "not http": b"hello\r\n\r\n",
    "http/0.9": b"GET /api/v1/keys/bob/status\r\n\r\n",
    "no host": b"GET /api/v1/keys/bob/status HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}",
    "bad chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "folded header": b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: kme\r\nA: b\r\n c\r\n\r\n",
    "nul in header": b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: k\x00me\r\n\r\n",
    "connect": b"CONNECT kme:443 HTTP/1.1\r\nHost: kme\r\n\r\n",
    "large header": b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: kme\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
    "endless header": b"GET /api/v1/keys/bob/status HTTP/1.1\r\nHost: kme\r\nA: " + b"b" * 20000,
    "10 kB SAE ID": b"GET /api/v1/keys/" + b"a" * 10_000 + b"/status HTTP/1.1\r\nHost: kme\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_cl_4_malformed_http_is_400_and_ends_the_connection(bench: Bench, quick: Listener, name: str) -> None:
    before = bench.gate.stock
    status, error = answer_to(connect(bench, quick), RAW[name])
    assert status == 400
    assert error["message"]
    assert bench.gate.stock == before


def test_cl_4_absolute_uri_is_served(bench: Bench) -> None:
    raw = b"GET https://kme/api/v1/keys/bob/status HTTP/1.1\r\nHost: kme\r\nConnection: close\r\n\r\n"
    status, answer = answer_to(connect(bench), raw)
    assert (status, answer["slave_SAE_ID"]) == (200, "bob")


def test_cl_4_a_chunked_body_is_served(bench: Bench) -> None:
    raw = (
        POST + b'Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n6;ext=1\r\n{"size\r\n7\r\n": 128}\r\n0\r\n\r\n'
    )
    status, answer = answer_to(connect(bench), raw)
    assert (status, len(answer["keys"])) == (200, 1)  # type: ignore[arg-type]


def test_cl_4_keep_alive_and_pipelining_keep_the_order(bench: Bench) -> None:
    last = b"GET /api/v1/keys/carol/status HTTP/1.1\r\nHost: kme\r\nConnection: close\r\n\r\n"
    connection = connect(bench)
    connection.sendall(STATUS + last)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    connection.close()
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.index(b'"bob"') < received.index(b'"carol"')


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["length", "chunks"])
def test_limit_body_size_413(bench: Bench, how: str) -> None:
    before = bench.gate.stock
    body = b'{"a": "' + b"x" * 70_000 + b'"}'
    if how == "length":
        parts = [POST + b"Content-Length: %d\r\n\r\n" % len(body), body]
    else:
        parts = [POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body), body + b"\r\n0\r\n\r\n"]
    status, error = answer_to(connect(bench), *parts)
    assert status == 413
    assert "at most 65536 bytes" in str(error["message"])
    assert bench.gate.stock == before


def test_limit_body_size_with_a_usual_client(alice: httpx2.Client) -> None:
    answer = alice.post("/api/v1/keys/bob/enc_keys", json={"a": "x" * 70_000})
    assert answer.status_code == 413
    assert alice.get("/api/v1/keys/bob/status").status_code == 200  # by a new connection


def test_limit_slow_body_408(bench: Bench) -> None:
    listener = bench.serve(limits=ListenerLimits(body_s=0.2, linger_s=0.1))
    status, error = answer_to(connect(bench, listener), POST + b"Content-Length: 20\r\n\r\n{")
    assert status == 408
    assert error["message"] == "the request took too long to arrive: its body did not arrive in time"


def test_limit_slow_body_after_an_early_answer_is_cut(bench: Bench) -> None:
    listener = bench.serve(limits=ListenerLimits(body_s=0.2, linger_s=0.1))
    raw = b"PUT /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: kme\r\nContent-Length: 20\r\n\r\n{"
    status, _ = answer_to(connect(bench, listener), raw)  # returns, for the server closes
    assert status == 405


def test_limit_slow_head_408(bench: Bench) -> None:
    listener = bench.serve(limits=ListenerLimits(header_s=0.2, linger_s=0.1))
    status, _ = answer_to(connect(bench, listener), STATUS[:30])
    assert status == 408
    assert answer_to(connect(bench, listener)) == (0, {})  # nothing sent, nothing said


def test_limit_handshake(bench: Bench) -> None:
    listener = bench.serve(limits=ListenerLimits(handshake_s=0.2))
    with socket.create_connection(("127.0.0.1", listener.port), timeout=15) as silent:
        assert silent.recv(1) == b""
    bench.run(asyncio.sleep(0))
    assert listener.census.open == 0


def test_limit_idle_and_age(bench: Bench) -> None:
    for limits in (ListenerLimits(idle_s=1.0), ListenerLimits(age_s=0.3)):
        connection = connect(bench, bench.serve(limits=limits))
        status, answer = answer_to(connection, STATUS)  # keep-alive, but the server ends it
        assert (status, answer["slave_SAE_ID"]) == (200, "bob")


def test_limit_connections_of_one_certificate(bench: Bench) -> None:
    listener = bench.serve(limits=ListenerLimits(per_identity=2, linger_s=0.1))
    first, second = connect(bench, listener), connect(bench, listener)
    for connection in (first, second):
        assert status_on(connection) == 200
    status, error = answer_to(connect(bench, listener), STATUS)
    assert status == 503
    assert "at most 2 connections a certificate" in str(error["message"])
    third = connect(bench, listener, "bob")  # another certificate is not touched by it
    assert status_on(third, STATUS.replace(b"bob", b"carol")) == 200
    for connection in (first, second, third):
        connection.close()


def test_limit_connections_in_all_counts_handshakes_and_all_listeners(bench: Bench) -> None:
    census = Census(2, 100)
    one, two = bench.serve(census=census), bench.serve(census=census)
    silent = socket.create_connection(("127.0.0.1", one.port), timeout=15)
    held = connect(bench, two)
    with socket.create_connection(("127.0.0.1", one.port), timeout=15) as extra:
        assert extra.recv(1) == b""
    silent.close()
    held.close()


def test_closing_a_listener_ends_its_connections(bench: Bench) -> None:
    listener = bench.serve()
    connection = connect(bench, listener)
    assert status_on(connection) == 200
    bench.run(listener.close())
    assert answer_to(connection) == (0, {})
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port), timeout=15)
    assert (listener.census.open, listener.census.by_identity) == (0, {})


def test_many_listeners_in_one_process_have_own_addresses(bench: Bench) -> None:
    async def many() -> list[Listener]:
        app = bench.main._config.loaded_app
        made = []
        for n in range(20):
            state = {"kme": f"kme-{n}"}
            address = f"127.9.0.{n + 1}"
            made.append(await listen(app, address, 0, bench.tls, state, identify=bench.identities.read))
        return made

    try:
        listeners = bench.run(many())
    except OSError:
        pytest.skip("only 127.0.0.1 is there")
    assert len({listener.address for listener in listeners}) == 20
    for listener in listeners:
        bench.run(listener.close())
