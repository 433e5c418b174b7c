"""Enrolment: from a token to a certificate, at the interface and against the real PKI; what is refused and why."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from starlette.types import Receive, Scope, Send

from quoit.adapters.crypto.pki import Authority
from quoit.interfaces.enrolment.server import Attempts, make_enrolment
from quoit.interfaces.identity import Peer
from quoit.model.role import Role
from quoit.scenario.check import loads
from quoit.scenario.joining import AgentIdentities, EnrolmentDesk
from quoit.scenario.tokens import TokenBook

NETWORK = """
quoit: 1
name: pair
nodes: {a: {}, b: {joins: token}}
spans: [{name: ab, between: [a, b], length: 1 km}]
links: [{name: ab, between: [a, b], protocol: rated, rate: 1 kbit/s}]
"""


Answer = httpx2.Response


class Bench:
    """The application of an enrolment listener over a real PKI, and a book of tokens."""

    def __init__(self, directory: Path, attempts: int = 10) -> None:
        self.authority = Authority(directory / "pki", "pair")
        self.book = TokenBook(directory / "tokens.json", frozenset({"b"}))
        gate: Any = SimpleNamespace()
        desk = EnrolmentDesk(loads(NETWORK), self.authority, gate, self.book, _no_doors, timedelta(hours=1))
        self.app = make_enrolment(desk, Attempts(attempts, 3600.0))
        self.agents = AgentIdentities(frozenset({"b"}), self.authority.is_revoked)

    def ask(self, method: str, path: str, body: Any = None, secret: str = "", peer: Peer | None = None) -> Answer:
        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            await self.app({**scope, "state": {} if peer is None else {"peer": peer}}, receive, send)

        async def go() -> Answer:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(known), base_url="http://x") as client:
                headers = {"authorization": f"Bearer {secret}"} if secret else {}
                return await client.request(method, f"/enrol/v1{path}", json=body, headers=headers)

        return asyncio.run(go())


async def _no_doors(node: str) -> dict[str, Any]:
    return {}


def request_of(name: str = "b", key: Any = None, more: str = "") -> dict[str, str]:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if more:
        san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(more)])
        builder = builder.add_extension(san, critical=False)
    csr = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return {"csr": csr.public_bytes(Encoding.PEM).decode()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.realises("G2", "G3")
def test_a_token_buys_one_certificate_of_the_role_of_agents(bench: Bench) -> None:
    secret = bench.book.make("b", 60)
    key = ec.generate_private_key(ec.SECP256R1())
    wish = request_of(key=key, more=Role.OPERATOR.urn)
    answer = bench.ask("POST", "/certificate", wish, secret)
    assert answer.status_code == 201, answer.text
    leaf = x509.load_pem_x509_certificates(answer.json()["certificate"].encode())[0]
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == "CN=b"
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.UniformResourceIdentifier) == [Role.AGENT.urn], "what it asked for is not taken"
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(hours=1.2)
    peer = bench.agents.read(leaf.public_bytes(Encoding.DER))
    assert peer.sae == "b"
    assert bench.ask("GET", "/equipment", peer=peer).json()["interfaces"] == [
        {"name": "qkd-ab", "link": "ab", "role": "receiver", "protocol": "rated"}
    ]
    again = bench.ask("POST", "/certificate", wish, secret)
    assert (again.status_code, again.json()["code"]) == (401, "bad-token")


def test_a_request_that_does_not_fit_is_refused_and_the_token_stays_good(bench: Bench) -> None:
    secret = bench.book.make("b", 60)
    strangers = (
        request_of("a"),
        request_of(key=rsa.generate_private_key(65537, 2048)),
        request_of(key=ec.generate_private_key(ec.SECP384R1())),
        {"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"},
        {"csr": "x" * 5000},
        {"csr": 3},
        {},
    )
    for wish in strangers:
        answer = bench.ask("POST", "/certificate", wish, secret)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.text
        assert secret not in answer.text
    assert bench.ask("POST", "/certificate", request_of(), secret).status_code == 201


def test_attempts_are_limited_also_for_those_who_guess(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attempts=3)
    secret = bench.book.make("b", 60)
    statuses = [bench.ask("POST", "/certificate", request_of(), "guess").status_code for _ in range(3)]
    assert statuses == [401] * 3
    limited = bench.ask("POST", "/certificate", request_of(), secret)
    assert (limited.status_code, limited.json()["code"]) == (429, "too-many-attempts")


def test_without_certificate_or_token_there_is_only_the_root(bench: Bench) -> None:
    assert bench.ask("GET", "/root").content == bench.authority.root_pem.read_bytes()
    for method, path in (("POST", "/certificate"), ("GET", "/equipment"), ("POST", "/interfaces")):
        assert bench.ask(method, path, {}).status_code == 401, path
    assert bench.ask("GET", "/certificate").status_code == 405
    assert bench.ask("GET", "/keys").status_code == 404


def test_no_other_certificate_makes_a_device(bench: Bench) -> None:
    """Not an application's that is called as the node is, nor another role's, nor an agent's of an unplanned node."""
    leaves = [
        bench.authority.issue_application("b"),
        bench.authority.issue_role(Role.OPERATOR, "b"),
        bench.authority.issue_role(Role.AGENT, "mallory"),
    ]
    for leaf in leaves:
        der = x509.load_pem_x509_certificate(leaf.chain.read_bytes()).public_bytes(Encoding.DER)
        assert bench.agents.read(der).sae is None, leaf.name


def test_interfaces_are_read_strictly(bench: Bench) -> None:
    peer = Peer("b", "f", 1, float("inf"))
    row: dict[str, Any] = {"name": "x", "link": "ab", "role": "receiver", "protocol": "rated"}
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"interfaces": 3},
        {"interfaces": [{}]},
        {"interfaces": [row | {"role": "boss"}]},
        {"interfaces": [row | {"name": ""}]},
        {"interfaces": [row] * 300},
        {"interfaces": [], "more": 1},
    )
    for body in bodies:
        answer = bench.ask("POST", "/interfaces", body, peer=peer)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), json.dumps(body)[:80]
