"""Join tokens and the bodies of the enrolment interface: a pure codec."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem
from quoit.orchestration.api import Interface, NodeJoined

PREFIX = "quoit-join-"
BASE = "/enrol/v1"
SECRET_BYTES = 32
MOST_INTERFACES = 256
MOST_CSR = 4096
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}\Z")
_SECRET = re.compile(r"[A-Za-z0-9_\-]{43}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class JoinToken:
    """All that a device needs to know: who it is to be, where to go, whose certificate to expect there, and a secret.

    The text of a token opens the network once: it is never logged, and the twin keeps a digest of its secret only.
    """

    node: str
    url: str
    root_sha256: str
    secret: str = field(repr=False)

    def text(self) -> str:
        """As the operator hands it out."""
        body = "\n".join((self.node, self.url, self.root_sha256)).encode()
        return f"{PREFIX}{urlsafe_b64encode(body).decode().rstrip('=')}.{self.secret}"

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """Inverse of `text`. Problem `bad-token`, which does not repeat what it was given."""
        body, dot, secret = text.strip().removeprefix(PREFIX).rpartition(".")
        try:
            if not text.strip().startswith(PREFIX) or not dot or not _SECRET.match(secret):
                raise ValueError
            node, url, digest = urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode().split("\n")
        except (ValueError, binascii.Error):
            raise Problem("bad-token", f"expected the whole text that begins with {PREFIX}") from None
        if not (_NODE.match(node) and url.startswith("https://") and _DIGEST.match(digest)):
            raise Problem("bad-token", "the token is damaged")
        return cls(node, url, digest, secret)


def parse_certificate_request(body: bytes) -> str:
    """`{"csr": PEM}` of PKCS#10 (RFC 2986)."""
    members = decode_object(body)
    csr = members.get("csr")
    if set(members) != {"csr"} or not isinstance(csr, str) or len(csr) > MOST_CSR or not csr.isascii():
        raise Problem("malformed", f'expected {{"csr": PEM}} of at most {MOST_CSR} ASCII characters')
    return csr


def parse_interfaces(body: bytes) -> tuple[Interface, ...]:
    """`{"interfaces": [{"name", "link", "role", "protocol"}]}`"""
    members = decode_object(body)
    rows = members.get("interfaces")
    if set(members) != {"interfaces"} or not isinstance(rows, list) or len(rows) > MOST_INTERFACES:
        raise Problem("malformed", f'expected {{"interfaces": [...]}} with at most {MOST_INTERFACES} of them')
    return tuple(_interface(i, row) for i, row in enumerate(rows))


def _interface(number: int, row: object) -> Interface:
    where = f"interfaces.{number}"
    if not isinstance(row, dict) or set(row) != {"name", "link", "role", "protocol"}:
        raise Problem("malformed", f"{where}: expected the members name, link, role and protocol, found {shown(row)}")
    for name, value in row.items():
        if not isinstance(value, str) or not 0 < len(value) <= 255 or not value.isprintable():
            raise Problem("malformed", f"{where}.{name}: expected 1 to 255 printable characters, found {shown(value)}")
    if row["role"] not in ("sender", "receiver"):
        raise Problem("malformed", f"{where}.role: expected sender or receiver, found {shown(row['role'])}")
    return Interface(row["name"], row["link"], row["role"], row["protocol"])


def interfaces_object(interfaces: tuple[Interface, ...]) -> dict[str, Any]:
    return {
        "interfaces": [{"name": i.name, "link": i.link, "role": i.role, "protocol": i.protocol} for i in interfaces]
    }


def joined_object(joined: NodeJoined, doors: dict[str, Any]) -> dict[str, Any]:
    """What a device hears when it has joined. `doors`: where its KMEs are, and their applications."""
    return {
        "node": joined.node,
        "links": list(joined.links),
        "waiting": list(joined.waiting),
        "unplanned": list(joined.unplanned),
        "applications": list(joined.applications),
        "doors": doors,
    }
