"""A device's side of enrolment: from a token to a certificate and a registered node, with no other step.

The private key is made here and never leaves. The server is trusted only after the root certificate that it shows has
the digest that the token names.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quoit.interfaces.enrolment.codec import BASE, JoinToken
from quoit.model.problem import Problem

TIMEOUT_S = 30.0
MOST_ANSWER = 1 << 20
Tls = Callable[[Path, Path | None, Path | None], ssl.SSLContext]
"""(root, chain, key): a client's context, as the network's PKI makes them."""


class JoinRefused(Exception):
    """The network did not let the device in, or could not be reached; the text says why and how to mend it."""


class Joiner:
    """One device that joins. Its key, its certificate and the root's go into `directory`, mode 0700."""

    def __init__(self, token: JoinToken, directory: Path, tls: Tls) -> None:
        self._token = token
        self._directory = directory
        self._tls = tls
        self.root, self.chain = directory / "root.pem", directory / "node.pem"
        self.key = directory / "node.key"

    def join(self) -> dict[str, Any]:
        """All steps; what the network says of the node. Raises JoinRefused. A device that has its certificate already
        only registers again."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.chain.exists():
            self._write(self.root, self._pinned_root())
            self._write(self.chain, self._enrol().encode("ascii"))
        mine = self._tls(self.root, self.chain, self.key)
        equipment = self._asked("GET", "/equipment", mine)
        joined: dict[str, Any] = self._asked("POST", "/interfaces", mine, equipment)
        return joined

    def _pinned_root(self) -> bytes:
        """The root's certificate, from whoever answers, if it is the one that the token names."""
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE  # the digest decides, not the chain
        status, body = self._exchange("GET", "/root", anybody, None, {})
        try:
            found = x509.load_pem_x509_certificate(body)
        except ValueError:
            raise JoinRefused(f"{self._token.url} shows no root certificate (status {status})") from None
        digest = hashlib.sha256(found.public_bytes(serialization.Encoding.DER)).hexdigest()
        if digest != self._token.root_sha256:
            raise JoinRefused(f"{self._token.url} is not the network that made the token: its root is another one")
        return body

    def _enrol(self) -> str:
        key = self._own_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._token.node)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        body = {"csr": csr.public_bytes(serialization.Encoding.PEM).decode("ascii")}
        headers = {"authorization": f"Bearer {self._token.secret}"}
        answer = self._asked("POST", "/certificate", self._tls(self.root, None, None), body, headers)
        return str(answer["certificate"])

    def _own_key(self) -> ec.EllipticCurvePrivateKey:
        """A key that an interrupted attempt left is used again: the network may have signed for it."""
        if self.key.exists():
            found = serialization.load_pem_private_key(self.key.read_bytes(), None)
            if isinstance(found, ec.EllipticCurvePrivateKey):
                return found
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._write(self.key, pem)
        return key

    def _asked(
        self, method: str, path: str, tls: ssl.SSLContext, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        status, answer = self._exchange(method, path, tls, sent, headers or {})
        try:
            value = json.loads(answer)
        except ValueError:
            raise JoinRefused(f"{self._token.url}{BASE}{path} answers {status} and no JSON") from None
        if status >= 400:
            words = [str(value.get(name)) for name in ("title", "detail", "mend") if value.get(name)]
            raise JoinRefused("; ".join(words) or f"status {status}")
        return value

    def _exchange(
        self, method: str, path: str, tls: ssl.SSLContext, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        where = urlsplit(self._token.url)
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, timeout=TIMEOUT_S, context=tls
        )
        try:
            sent = headers | ({"content-type": "application/json"} if body is not None else {})
            connection.request(method, BASE + path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_ANSWER)
        except (OSError, http.client.HTTPException) as fault:
            raise JoinRefused(f"{self._token.url} cannot be reached: {fault}") from fault
        finally:
            connection.close()

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        new = file.with_name(file.name + ".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(data)
        os.replace(new, file)


def read_token(text: str) -> JoinToken:
    """Raises JoinRefused for what is no token."""
    try:
        return JoinToken.parse(text)
    except Problem as problem:
        raise JoinRefused(problem.detail) from None
