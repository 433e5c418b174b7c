"""The NATS bus by itself: what cannot be read is not passed over in silence."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from quoit.adapters.buses.nats import BusGone, BusIdentity, NatsBus, NatsServer
from quoit.adapters.crypto.pki import Authority
from quoit.runtime import wire


@pytest.fixture
def identity(tmp_path: Path) -> BusIdentity:
    authority = Authority(tmp_path / "pki", "test")
    leaf = authority.issue_kme("bus", ["127.0.0.1"])
    return BusIdentity(leaf.chain, leaf.key, authority.root_pem)


async def connected(server: NatsServer, identity: BusIdentity) -> Client:
    return await nats.connect(
        server.url, token=server.token_file.read_text(), tls=identity.client_context(), tls_hostname="127.0.0.1",
        allow_reconnect=False, connect_timeout=5,
    )  # fmt: skip


async def heard_of(server: NatsServer, identity: BusIdentity, data: bytes) -> Exception:
    gone: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def receive(frame: tuple[object, ...]) -> None:
        wire.decode(str(frame[6]), bytes(frame[7]))  # type: ignore[call-overload]

    bus = NatsBus(server.url, server.token_file, "run", 0, identity)
    await bus.connect(receive, lambda source, number: None, gone.set_result)
    other = await connected(server, identity)
    try:
        await other.publish("quoit.run.0", data)
        return await asyncio.wait_for(gone, 10)
    finally:
        await other.close()
        await bus.close()


@pytest.mark.realises("B1")
@pytest.mark.parametrize(
    "data",
    [b"\xc1", b"\x93\x01\x01\x98\x00\x00\x00\x00\x00\x00\xb1service.GetStatus\xc4\x01\x05"],
    ids=["no frame", "no message"],
)
def test_a_frame_that_cannot_be_read_ends_the_twin(tmp_path: Path, identity: BusIdentity, data: bytes) -> None:
    server = NatsServer.start(tmp_path, identity)
    try:
        fault = asyncio.run(heard_of(server, identity, data))
    finally:
        server.stop()
    assert isinstance(fault, BusGone)


@pytest.mark.realises("G3")
def test_the_bus_speaks_tls_1_3_with_processes_of_the_twin_alone(tmp_path: Path, identity: BusIdentity) -> None:
    """A certificate of another root, none at all, an older TLS and a wrong token are refused."""
    stranger = Authority(tmp_path / "other", "other")
    leaf = stranger.issue_kme("bus", ["127.0.0.1"])
    server = NatsServer.start(tmp_path, identity)
    port = int(server.url.rpartition(":")[2])

    def shaken(context: ssl.SSLContext) -> str | None:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            assert plain.recv(4_096).startswith(b"INFO ")  # NATS greets in clear, and then asks for TLS
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                secure.sendall(b"PING\r\n")
                secure.recv(1)  # with TLS 1.3 a client hears of its refusal when it reads
                return secure.version()

    try:
        assert shaken(identity.client_context()) == "TLSv1.3"
        foreign = BusIdentity(leaf.chain, leaf.key, identity.root).client_context()
        nobody = ssl.create_default_context(cafile=identity.root)
        old = identity.client_context()
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
        for context in (foreign, nobody, old):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                shaken(context)

        async def in_clear() -> None:
            url = server.url.replace("tls://", "nats://")
            context = identity.client_context()
            client = await nats.connect(
                url, token="wrong", tls=context, tls_hostname="127.0.0.1", allow_reconnect=False, connect_timeout=5,
                error_cb=ignore,
            )  # fmt: skip
            await client.close()

        async def ignore(fault: Exception) -> None:
            """The library would print it."""

        with pytest.raises(nats.errors.Error):
            asyncio.run(in_clear())
    finally:
        server.stop()
