"""The line between two agents: TLS 1.3, where each end shows the certificate that its KME knows it by.

The far end must be the application that this agent was told of as its peer; that its chain ends at the same root is not
enough, since every application of the network has such a certificate.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from quoit.adapters.crypto.pki import client_context, server_context
from quoit.interfaces.identity import Identities


class Stranger(Exception):
    """At the other end is not the peer; the text says who or why."""


@dataclass(frozen=True)
class Line:
    """An application's certificate (with its chain), its key, and the root that the peer's must end at."""

    chain: Path
    key: Path
    root: Path

    def server(self) -> ssl.SSLContext:
        """For the responder. Raises OSError and ssl.SSLError for files that cannot be read."""
        return server_context(self.chain, self.key, self.root, tls13_only=True)

    def client(self) -> ssl.SSLContext:
        """For the initiator: who answers is told by `must_be`, not by a host's name. Errors as `server`."""
        context = client_context(self.root, self.chain, self.key)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        return context

    def must_be(self, peer: str, writer: asyncio.StreamWriter) -> None:
        """Raises `Stranger` unless the certificate at the other end is the peer's."""
        tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if der is None:
            raise Stranger(f"expected the certificate of {peer}; found none")
        found = Identities.of([(peer, None)]).read(der)
        if found.sae != peer:
            raise Stranger(f"expected the certificate of {peer}; {found.refused}")
