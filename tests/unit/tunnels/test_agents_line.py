"""What two agents say to each other is theirs: TLS 1.3, and nobody but the peer at the other end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from quoit.adapters.crypto.pki import Authority, Issued
from quoit.model.secret import Secret
from quoit.tunnels.agent import Initiator, Responder, TunnelFault
from quoit.tunnels.line import Line


class Key(NamedTuple):
    key_id: str
    value: Secret


class Kme:
    """Gives the same key to both; what it was asked for stays here."""

    def __init__(self) -> None:
        self.opened = 0
        self.taken: list[str] = []

    async def enc_keys(self, peer: str, number: int, size: int) -> tuple[Key, ...]:
        self.opened += 1
        return (Key(f"key-{self.opened}", Secret(bytes([self.opened]) * 32)),)

    async def dec_keys(self, peer: str, key_ids: list[str]) -> tuple[Key, ...]:
        self.taken += key_ids
        return tuple(Key(one, Secret(bytes([int(one[4:])]) * 32)) for one in key_ids)


class Pipe:
    """A tunnel that notes what is put into it."""

    def __init__(self) -> None:
        self.installed: list[str] = []

    async def install(self, key_id: str, key: Secret) -> None:
        self.installed.append(key_id)

    async def activate(self) -> None:
        if not self.installed:
            raise TunnelFault("activated without a key")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("line") / "pki", "test")


def line(authority: Authority, issued: Issued) -> Line:
    return Line(issued.chain, issued.key, authority.root_pem)


class Ends:
    """A responder that listens as bob and waits for alice."""

    def __init__(self, own: Line | None) -> None:
        self.kme, self.pipe, self.told = Kme(), Pipe(), list[dict[str, Any]]()
        self.responder = Responder(self.kme, "alice", self.pipe, 1.0, self.told.append, own)  # type: ignore[arg-type]

    def play(self, story: Callable[[int], Awaitable[None]]) -> None:
        async def run() -> None:
            port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            work = asyncio.create_task(self.responder.run("127.0.0.1", 0, port.set_result))
            await story(await port)
            work.cancel()

        asyncio.run(run())

    def initiator(self, own: Line | None, told: list[dict[str, Any]], peer: str = "bob") -> Initiator:
        return Initiator(self.kme, peer, self.pipe, 0.01, told.append, own)  # type: ignore[arg-type]


def test_peers_rotate_over_tls_13(authority: Authority) -> None:
    ends = Ends(line(authority, authority.issue_application("bob")))

    async def story(port: int) -> None:
        told: list[dict[str, Any]] = []
        await ends.initiator(line(authority, authority.issue_application("alice")), told).run("127.0.0.1", port, 2)
        assert [one["event"] for one in told] == ["rotated", "rotated"]

    ends.play(story)
    assert ends.kme.taken == ["key-1", "key-2"]


def test_another_application_of_the_same_network_is_a_stranger(authority: Authority) -> None:
    ends = Ends(line(authority, authority.issue_application("bob")))

    async def story(port: int) -> None:
        told: list[dict[str, Any]] = []
        mallory = ends.initiator(line(authority, authority.issue_application("mallory")), told)
        attempt = asyncio.create_task(mallory.run("127.0.0.1", port, 1))
        while not ends.told or not told:
            await asyncio.sleep(0.01)
        attempt.cancel()
        assert {one["event"] for one in told} == {"no fresh key"}

    ends.play(story)
    assert {one["event"] for one in ends.told} == {"stranger"}
    assert ends.kme.taken == []


def test_an_initiator_tells_nothing_to_a_responder_that_is_not_its_peer(authority: Authority) -> None:
    ends = Ends(line(authority, authority.issue_application("mallory")))

    async def story(port: int) -> None:
        told: list[dict[str, Any]] = []
        alice = ends.initiator(line(authority, authority.issue_application("alice")), told)
        attempt = asyncio.create_task(alice.run("127.0.0.1", port, 1))
        while not told:
            await asyncio.sleep(0.01)
        attempt.cancel()
        assert "expected the certificate of bob" in told[0]["why"]

    ends.play(story)
    assert ends.kme.taken == []


@pytest.mark.parametrize("who", ["nobody", "tls12", "foreign"])
def test_without_a_certificate_of_this_network_or_tls_13_there_is_no_handshake(
    authority: Authority, who: str, tmp_path: Path
) -> None:
    ends = Ends(line(authority, authority.issue_application("bob")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cafile=str(authority.root_pem))
    if who == "tls12":
        issued = authority.issue_application("alice")
        context.load_cert_chain(issued.chain, issued.key)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif who == "foreign":
        issued = Authority(tmp_path / "pki", "other").issue_application("alice")
        context.load_cert_chain(issued.chain, issued.key)

    async def ask(port: int) -> None:
        """In TLS 1.3 a client hears of its refused certificate with the first answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b'{"key_ID": "key-1", "turn": 1}\n')
        if not await reader.readline():
            raise ConnectionError("closed without an answer")

    async def story(port: int) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port)

    ends.play(story)
    assert ends.kme.taken == []


def test_plain_is_only_by_choice() -> None:
    ends = Ends(None)

    async def story(port: int) -> None:
        await ends.initiator(None, []).run("127.0.0.1", port, 1)

    ends.play(story)
    assert ends.kme.taken == ["key-1"]
