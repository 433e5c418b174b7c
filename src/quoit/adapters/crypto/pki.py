"""A private PKI, made on first run: root, one intermediate, short-lived leaves, revocation list.

Identity rule: the subject's common name is the SAE ID (or the KME's name) and the URI SAN its URN. Keys
are EC P-256 in files of mode 0600; leaves live 24 h and are renewed at two thirds of it.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(minutes=5)
LEAF_HOURS = 24


@dataclass(frozen=True)
class Credentials:
    """Files of one identity; `certificate` holds the chain up to the root's child, `ca` the root."""

    certificate: Path
    key: Path
    ca: Path


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as out:
        out.write(data)
    path.chmod(mode)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


@dataclass(frozen=True)
class Authority:
    """A certificate that signs others, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Pki:
    """The PKI in one directory: root.pem, root.key, intermediate.*, crl.pem, and a pair of files a leaf."""

    def __init__(self, directory: Path, domain: str = "quoit") -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.root_file = directory / "root.pem"
        self._root = self._authority("root", f"{domain} root", 3650, None)
        self._ca = self._authority("intermediate", f"{domain} issuing", 365, self._root)
        self.crl_file = directory / "crl.pem"
        if not self.crl_file.exists():
            self._sign_crl([])

    def _authority(self, file: str, common: str, days: int, issuer: Authority | None) -> Authority:
        cert_file, key_file = self.directory / f"{file}.pem", self.directory / f"{file}.key"
        if cert_file.exists() and key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return Authority(x509.load_pem_x509_certificate(cert_file.read_bytes()), key)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(common), key.public_key(), issuer, timedelta(days=days))
        path_length = 1 if issuer is None else 0
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        made = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
        _write(key_file, _pem_key(key), 0o600)
        _write(cert_file, _pem(made), 0o644)
        return Authority(made, key)

    @staticmethod
    def _builder(
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        issuer: Authority | None,
        life: timedelta,
        starts: datetime | None = None,
    ) -> x509.CertificateBuilder:
        begin = starts or datetime.now(UTC) - BACKDATED
        signer = public if issuer is None else issuer.key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        )

    # -- leaves --------------------------------------------------------------------------------------

    def issue(
        self,
        name: str,
        *,
        server: bool,
        urn: str | None = None,
        addresses: tuple[str, ...] = (),
        hours: float = LEAF_HOURS,
        starts: datetime | None = None,
    ) -> Credentials:
        """A leaf for a KME's listener (`server`) or an application. Overwrites an earlier one."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key.public_key(), self._ca, timedelta(hours=hours), starts)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(urn)] if urn else []
        alternatives += [_general(a) for a in addresses]
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        made = builder.sign(self._ca.key, hashes.SHA256())
        stem = self.directory / f"{'kme' if server else 'sae'}-{_file_name(name)}"
        credentials = Credentials(
            stem.with_name(stem.name + ".pem"), stem.with_name(stem.name + ".key"), self.root_file
        )
        _write(credentials.key, _pem_key(key), 0o600)
        _write(credentials.certificate, _pem(made, self._ca.certificate), 0o644)
        return credentials

    def renewal_due(self, credentials: Credentials, now: datetime | None = None) -> bool:
        """Whether two thirds of the leaf's life are over."""
        leaf = x509.load_pem_x509_certificate(credentials.certificate.read_bytes())
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        return (now or datetime.now(UTC)) >= leaf.not_valid_before_utc + life * 2 / 3

    # -- revocation ----------------------------------------------------------------------------------

    def revoke(self, certificate: Path) -> None:
        """Put a leaf on the revocation list; listeners see it when they load the list again."""
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        serials = [r.serial_number for r in self._crl()]
        self._sign_crl([*serials, leaf.serial_number])

    def _crl(self) -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl(self.crl_file.read_bytes())

    def _sign_crl(self, serials: list[int]) -> None:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._ca.certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + timedelta(days=30))
        )
        for serial in dict.fromkeys(serials):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        signed = builder.sign(self._ca.key, hashes.SHA256())
        _write(self.crl_file, signed.public_bytes(serialization.Encoding.PEM), 0o644)

    def is_revoked(self, serial: int) -> bool:
        """Whether a serial number is on the list now."""
        return self._crl().get_revoked_certificate_by_serial_number(serial) is not None

    # -- contexts ------------------------------------------------------------------------------------

    def server_context(self, credentials: Credentials, *, tls12: bool = True) -> ssl.SSLContext:
        """Mutual TLS: a client certificate of this PKI is required, its revocation checked. TLS 1.2 (with
        forward secrecy and authenticated encryption only) is for applications: 014 asks for 1.2 or more."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2 if tls12 else ssl.TLSVersion.TLSv1_3
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        context.load_cert_chain(credentials.certificate, credentials.key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.root_file)
        context.load_verify_locations(self.directory / "intermediate.pem")
        context.load_verify_locations(self.crl_file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.options |= ssl.OP_NO_RENEGOTIATION
        return context


def client_context(credentials: Credentials) -> ssl.SSLContext:
    """For a client with these credentials; trusts their root alone."""
    context = ssl.create_default_context(cafile=str(credentials.ca))
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context


def _general(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
