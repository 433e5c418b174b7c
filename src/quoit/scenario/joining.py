"""Nodes that join a running twin with a one-time token: the listener where devices enrol, and what follows from it.

The twin holds the hardware of all devices, so their elements are assembled from the start, and dormant: control does
not commission links of a node that has not joined, nobody is told of its applications, and its KMEs have no door.
Enrolment ends that. It enters the twin as one message, which the journal has, so that a replay joins the node at the
same instant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from quoit.adapters.crypto.pki import Authority
from quoit.interfaces.enrolment.codec import JoinToken
from quoit.interfaces.enrolment.server import make_enrolment
from quoit.interfaces.identity import Identities, NameKind, Peer
from quoit.interfaces.listener import Listener, ListenerLimits, listen
from quoit.model.problem import Problem
from quoit.model.role import Role
from quoit.orchestration.api import Interface, NodeJoined, RegisterNode
from quoit.runtime.gate import Gate
from quoit.scenario.orchestration import interfaces_of, orchestrator_of
from quoit.scenario.schema import NetworkFile
from quoit.scenario.tokens import TokenBook

_log = structlog.get_logger("quoit", element="joining")
REGISTER_S = 60.0
LIMITS = ListenerLimits(per_identity=4, in_all=50, age_s=120.0)
Doors = Callable[[str], Awaitable[dict[str, Any]]]
"""Opens the doors of a node's KMEs, if they are not open yet; tells where they are."""


@dataclass
class EnrolmentDesk:
    """What stands behind the enrolment listener of a network."""

    network: NetworkFile
    authority: Authority
    gate: Gate
    book: TokenBook
    open_doors: Doors
    certificate_life: timedelta

    def root_pem(self) -> bytes:
        return self.authority.root_pem.read_bytes()

    def certificate(self, secret: str, csr: str) -> bytes:
        node = self.book.node_of(secret)
        try:
            chain = self.authority.sign_node(csr, node, self.certificate_life)
        except ValueError as fault:  # the token is still good: its device may mend its request
            raise Problem("malformed", f"csr: {fault}") from None
        self.book.use_up(node)
        _log.info("node.enrolled", node=node)
        return chain

    def equipment(self, node: str) -> tuple[Interface, ...]:
        return tuple(interfaces_of(self.network, node))

    async def register(self, node: str, interfaces: tuple[Interface, ...]) -> tuple[NodeJoined, dict[str, Any]]:
        order = RegisterNode(node, interfaces)
        joined = await self.gate.ask(orchestrator_of(self.network, node), order, REGISTER_S)
        if not isinstance(joined, NodeJoined):
            raise TypeError(f"the orchestrator answered with {type(joined).__name__}, expected NodeJoined")
        self.book.has_joined(node)
        doors = await self.open_doors(node)
        _log.info("node.joined", node=node, links=joined.links, applications=joined.applications)
        return joined, doors

    async def join_again(self) -> None:
        """After a stop: those who had joined are there at once."""
        for node in sorted(self.book.joined & self.network.joining):
            await self.register(node, self.equipment(node))


class JoinDoor:
    """The enrolment listener, and the tokens that lead to it."""

    def __init__(self, desk: EnrolmentDesk, listener: Listener) -> None:
        self._desk = desk
        self.listener = listener

    @classmethod
    async def open(cls, desk: EnrolmentDesk, port: int, tls: Any) -> JoinDoor:
        """On 127.0.0.1. Raises OSError if the port is taken."""
        nodes = desk.network.joining
        identify = AgentIdentities(nodes, desk.authority.is_revoked).read
        app = make_enrolment(desk)
        listener = await listen(app, "127.0.0.1", port, tls, {}, identify=identify, limits=LIMITS, anonymous=True)
        return cls(desk, listener)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.listener.port}"

    def token(self, node: str, life_s: float) -> JoinToken:
        """A one-time token. Problems `not-joining`, `malformed`."""
        root = x509.load_pem_x509_certificate(self._desk.root_pem())
        digest = hashlib.sha256(root.public_bytes(Encoding.DER)).hexdigest()
        return JoinToken(node, self.url, digest, self._desk.book.make(node, life_s))


class AgentIdentities:
    """Who comes in: nodes by the common name of a certificate that has the role of agents, and nobody else."""

    def __init__(self, nodes: frozenset[str], is_revoked: Callable[[int], bool]) -> None:
        names = {(NameKind.CN, node): node for node in nodes} | {(NameKind.URI, Role.AGENT.urn): ""}
        self._known = Identities(names, kinds=(NameKind.CN,), is_revoked=is_revoked)

    def read(self, der: bytes) -> Peer:
        peer = self._known.read(der)
        if peer.sae is not None and Role.AGENT.urn not in _uris(der):
            return Peer(None, peer.fingerprint, peer.serial, peer.not_after_unix_s, "the certificate is no device's")
        return peer


def _uris(der: bytes) -> list[str]:
    try:
        san = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return san.value.get_values_for_type(x509.UniformResourceIdentifier)


def token_book(network: NetworkFile, directory: Path, anew: bool) -> TokenBook:
    """The book of a run's directory; `anew`: what an earlier run's says is of another simulated past."""
    path = directory / "tokens.json"
    if anew:
        path.unlink(missing_ok=True)
    return TokenBook(path, network.joining)
