"""Certificates and TLS of a running twin, as a client and as an auditor meet them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

pytestmark = pytest.mark.live
PROJECT = Path(__file__).parents[2]
TWO_NODES = PROJECT / "examples" / "two-nodes.yaml"
SSLYZE = shutil.which("sslyze", path=str(PROJECT / ".sslyze" / "bin")) or shutil.which("sslyze")


class Client:
    """A new connection and a new look at the certificate's files for each request."""

    def __init__(self, doors: dict[str, Any], sae: str, peer: str) -> None:
        self._app, self._ca, self._peer = doors["applications"][sae], doors["ca"], peer
        self._at = urlsplit(self._app["url"])
        self.seen: set[bytes] = set()

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca)
        while True:
            try:
                context.load_cert_chain(self._app["cert"], self._app["key"])
                return context
            except ssl.SSLError:  # key and certificate are two files; they are being replaced just now
                time.sleep(0.01)

    def connect(self) -> HTTPSConnection:
        connection = HTTPSConnection(str(self._at.hostname), self._at.port, timeout=10, context=self.context())
        connection.connect()
        self.seen.add(connection.sock.getpeercert(binary_form=True))
        return connection

    def ask(self, connection: HTTPSConnection) -> int:
        connection.request("GET", f"/api/v1/keys/{self._peer}/status")
        answer = connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.realises("G3")
def test_short_lived_certificates_are_renewed_without_a_dropped_request(tmp_path: Path, live_twin: Any) -> None:
    with live_twin(TWO_NODES, tmp_path / "run", "--certificate-life", "10s") as doors:
        client = Client(doors, "alice-app", "bob-app")
        held = client.connect()
        began, asked = time.monotonic(), 0
        while time.monotonic() < began + 22:  # three lives
            fresh = client.connect()
            assert client.ask(fresh) == 200
            fresh.close()
            if time.monotonic() < began + 5:  # it goes on until the client's own certificate ends
                assert client.ask(held) == 200
            asked += 1
            time.sleep(0.02)
        assert len(client.seen) >= 3
        assert asked > 100
        # and a connection whose client certificate has ended is closed, not served for ever
        assert held.sock.recv(1) == b""


@pytest.mark.realises("G3")
@pytest.mark.skipif(SSLYZE is None, reason="sslyze is not installed; run: make sslyze")
@pytest.mark.parametrize(
    ("tls", "profile", "verdict"),
    [
        ("modern", "modern", "OK - Compliant."),
        # OpenSSL's own list of groups, for clients of any kind: two more than Mozilla asks for, none weaker.
        ("standard", "intermediate", "FAILED - Not compliant.\n        * tls_curves: "),
    ],
)
def test_tls_is_what_mozilla_recommends(tmp_path: Path, live_twin: Any, tls: str, profile: str, verdict: str) -> None:
    with live_twin(TWO_NODES, tmp_path / "run", "--tls", tls) as doors:
        at = urlsplit(doors["applications"]["alice-app"]["url"])
        chain, key = _rsa_client(tmp_path / "run" / "pki", tmp_path)
        done = subprocess.run(
            [str(SSLYZE), f"{at.hostname}:{at.port}", "--mozilla_config", profile, "--cert", str(chain),
             "--key", str(key), "--certinfo_ca_file", doors["ca"]],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert f"{at.hostname}:{at.port}: {verdict}" in done.stdout, done.stdout[-3000:]
        assert done.stdout.count("        * ") == verdict.count("* "), done.stdout[-3000:]  # and no other complaint


def _rsa_client(pki: Path, directory: Path) -> tuple[Path, Path]:
    """A certificate of the domain for a client with an RSA key: the auditor's old OpenSSL knows no other when it
    asks for SSL 2."""
    issuer = x509.load_pem_x509_certificate((pki / "domain.pem").read_bytes())
    signer = serialization.load_pem_private_key((pki / "domain.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    own = rsa.generate_private_key(65_537, 2_048)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer.subject, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice-app")]))
    leaf = (
        builder.public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    chain, key = directory / "auditor.pem", directory / "auditor.key"
    chain.write_bytes(leaf.public_bytes(pem))
    form, cipher = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    key.write_bytes(own.private_bytes(pem, form, cipher))
    return chain, key


def test_what_a_certificate_may_live_has_a_floor(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "quoit.cli.main", "up", str(TWO_NODES), "--dir", str(tmp_path)]
    done = subprocess.run([*command, "--certificate-life", "1s"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "expected at least 10s, found 1s" in done.stderr
