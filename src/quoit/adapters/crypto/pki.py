"""A private PKI made at first run: root, one intermediate for the domain, short-lived leaves, a revocation list.

    root (P-256, 10 years) -> domain (1 year, path length 0) -> leaves (24 hours, renewed at 2/3 of their life)

All in one directory of mode 0700, keys of mode 0600. `root.key` is needed again only to renew the domain's
certificate: keep it offline, and put it back for that. A leaf's file holds the leaf and the domain's
certificate, so `root.pem` is all that the other side needs (`curl --cacert root.pem`).
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quoit.model.role import NAMED, Role

BACKDATE = timedelta(minutes=5)  # clocks of the two sides may differ
ROOT_LIFE = timedelta(days=3650)
DOMAIN_LIFE = timedelta(days=365)
LEAF_LIFE = timedelta(hours=24)
CRL_LIFE = timedelta(days=7)
TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class PkiError(Exception):
    """The directory does not hold what it should; the text says what, where, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key as files. `chain`: the leaf, then the domain's certificate."""

    name: str
    chain: Path
    key: Path
    serial: int
    not_before: datetime
    not_after: datetime

    def due(self, now: datetime) -> bool:
        """Have two thirds of its life passed, counted from when it was made?"""
        made = self.not_before + BACKDATE
        return now >= made + (self.not_after - made) * 2 / 3


class Authority:
    """The certificate authority of one domain, in one directory, used by one process at a time.

    The first use of an empty directory makes root and domain; later uses read them. Raises PkiError if the
    directory holds only part of them, or if others may read it.
    """

    def __init__(
        self,
        directory: Path,
        domain: str = "quoit",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.directory = directory
        self.domain = domain
        self._now = now
        self.root_pem = directory / "root.pem"
        self.trust_pem = directory / "trust.pem"
        self.crl_pem = directory / "crl.pem"
        self._domain_pem, self._domain_key_file = directory / "domain.pem", directory / "domain.key"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(directory)
        for part in ("kme", "sae", "role"):
            (directory / part).mkdir(mode=0o700, exist_ok=True)
        if not self._complete():
            self._make()
        self._cert = _read_certificate(self._domain_pem)
        self._key = _read_key(self._domain_key_file)
        self._revoked = {entry.serial_number: entry.revocation_date_utc for entry in self._read_crl()}

    def _complete(self) -> bool:
        files = (self.root_pem, self.trust_pem, self._domain_pem, self._domain_key_file, self.crl_pem)
        missing = [file.name for file in files if not file.exists()]
        if not missing:
            return True
        if len(missing) == len(files) and not (self.directory / "root.key").exists():
            return False
        raise PkiError(
            f"{self.directory}: expected a whole PKI or an empty directory, but {', '.join(missing)} is missing; "
            "put it back, or begin anew in an empty directory"
        )

    def _make(self) -> None:
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = self._sign_ca(f"{self.domain} root", root_key, None, root_key, ROOT_LIFE, path_length=1)
        _write(self.directory / "root.key", _key_pem(root_key), 0o600)
        self._make_domain(root, root_key)
        self._write_crl([], self._now() - BACKDATE)
        _write(self.root_pem, _pem(root), 0o644)

    def _make_domain(self, root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._cert = self._sign_ca(f"{self.domain} domain", self._key, root, root_key, DOMAIN_LIFE, path_length=0)
        _write(self._domain_key_file, _key_pem(self._key), 0o600)
        _write(self._domain_pem, _pem(self._cert), 0o644)
        _write(self.trust_pem, _pem(root) + _pem(self._cert), 0o644)

    def _sign_ca(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        signer: ec.EllipticCurvePrivateKey,
        life: timedelta,
        path_length: int,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, issuer.subject if issuer else subject, key, signer, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        return builder.add_extension(_usage(ca=True), critical=True).sign(signer, hashes.SHA256())

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey,
        life: timedelta,
    ) -> x509.CertificateBuilder:
        now = self._now().replace(microsecond=0)
        public = key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )

    # -- leaves --------------------------------------------------------------------------------------

    def issue_kme(
        self, kme: str, addresses: Sequence[str], names: Sequence[str] = (), life: timedelta = LEAF_LIFE
    ) -> Issued:
        """A server certificate: CN = KME ID, SAN = its IP addresses and DNS names and the URI of the role. It may act
        as a client, too, towards other KMEs."""
        san: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
        san += [x509.DNSName(name) for name in names]
        san.append(x509.UniformResourceIdentifier(Role.KME.urn))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(self._file("kme", kme), kme, san, usages, life)

    def issue_application(self, sae: str, urn: str | None = None, life: timedelta = LEAF_LIFE) -> Issued:
        """A client certificate: CN = SAE ID, SAN URI = the application's endpoint URN. It names no host, so no client
        takes its owner for a KME; applications may show it to each other, at either end."""
        san: list[x509.GeneralName] = [x509.UniformResourceIdentifier(urn)] if urn else []
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        return self._issue(self._file("sae", sae), sae, san, usages, life)

    def issue_role(self, role: Role, name: str, life: timedelta = LEAF_LIFE) -> Issued:
        """A client certificate for somebody who runs or watches the twin: CN = their name, SAN URI = the role's.
        Raises PkiError for applications, which have names of their own."""
        if role not in NAMED:
            raise PkiError(
                f"expected one of {', '.join(sorted(NAMED))}; found {role.value}: issue_application does that"
            )
        san: list[x509.GeneralName] = [x509.UniformResourceIdentifier(role.urn)]
        return self._issue(self._file("role", name), name, san, [ExtendedKeyUsageOID.CLIENT_AUTH], life)

    def _file(self, part: str, name: str) -> Path:
        # Percent-encoded: a name is no path.
        return self.directory / part / f"{quote(name, safe='')}.pem"

    def _issue(
        self,
        file: Path,
        name: str,
        san: list[x509.GeneralName],
        usages: Iterable[x509.ObjectIdentifier],
        life: timedelta,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, self._cert.subject, key, self._key, life)
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        )
        if san:
            builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        _write(file.with_suffix(".key"), _key_pem(key), 0o600)
        _write(file, _pem(certificate) + _pem(self._cert), 0o644)
        return _issued(file, certificate)

    def issued(self) -> tuple[Issued, ...]:
        """All leaves there are, by file name."""
        files = [file for part in ("kme", "sae", "role") for file in sorted(self.directory.glob(f"{part}/*.pem"))]
        return tuple(_issued(file, _read_certificate(file)) for file in files)

    def renew_due(self, now: datetime | None = None) -> tuple[Issued, ...]:
        """The leaves that should be renewed by `now`; the domain's certificate and the CRL look after
        themselves in `renew`."""
        at = now or self._now()
        return tuple(leaf for leaf in self.issued() if leaf.due(at))

    def renew(self, leaf: Issued) -> Issued:
        """The same names for as long again, with a new key, in the same files. Load it into running contexts
        with `SSLContext.load_cert_chain`."""
        old = _read_certificate(leaf.chain)
        try:
            san = list(old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            san = []
        usages = list(old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        life = old.not_valid_after_utc - old.not_valid_before_utc - BACKDATE
        return self._issue(leaf.chain, leaf.name, san, usages, life)

    def renew_domain(self) -> None:
        """A new intermediate, signed by the root; leaves are to be issued anew after it. Raises PkiError if
        `root.key` is offline."""
        root_key = self.directory / "root.key"
        if not root_key.exists():
            raise PkiError(f"{root_key} is not there: put it back to renew the domain's certificate")
        self._make_domain(_read_certificate(self.root_pem), _read_key(root_key))
        self._revoked = {}  # the list speaks of the old issuer's serials only
        self._write_crl([], self._now() - BACKDATE)

    @property
    def domain_due(self) -> bool:
        """Have two thirds of the domain certificate's life passed?"""
        return _issued(self._domain_pem, self._cert).due(self._now())

    # -- revocation ----------------------------------------------------------------------------------

    def revoke(self, serial: int) -> None:
        """Put a leaf on the revocation list. Running contexts learn it by `refresh_crl`, listeners drop live
        connections by `Listener.drop`, `Identities` refuses resumed sessions through `is_revoked`."""
        self._revoked.setdefault(serial, self._now())
        self.sign_crl()

    def follow(self) -> frozenset[int]:
        """Read the list again, which another process may have signed since; the serials that are new on it."""
        found = {entry.serial_number: entry.revocation_date_utc for entry in self._read_crl()}
        new = frozenset(found.keys() - self._revoked.keys())
        self._revoked.update(found)
        return new

    def is_revoked(self, serial: int) -> bool:
        return serial in self._revoked

    def sign_crl(self) -> None:
        """Sign the list anew; at least every `CRL_LIFE`, for an outdated list shuts everybody out."""
        self.follow()  # what another process revoked stays revoked
        # OpenSSL goes by the list with the later date, in whole seconds: each must be later than the last.
        previous = x509.load_pem_x509_crl(self.crl_pem.read_bytes()).last_update_utc
        revoked = [
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            for serial, at in self._revoked.items()
        ]
        self._write_crl(revoked, max(self._now() - BACKDATE, previous + timedelta(seconds=1)))

    @property
    def crl_due(self) -> bool:
        """Have two thirds of the list's life passed?"""
        crl = x509.load_pem_x509_crl(self.crl_pem.read_bytes())
        return self._now() >= crl.last_update_utc + CRL_LIFE * 2 / 3

    def _write_crl(self, revoked: list[x509.RevokedCertificate], at: datetime) -> None:
        at = at.replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._cert.subject)
            .last_update(at)
            .next_update(at + CRL_LIFE)
            .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for entry in revoked:
            builder = builder.add_revoked_certificate(entry)
        crl = builder.sign(self._key, hashes.SHA256())
        _write(self.crl_pem, crl.public_bytes(serialization.Encoding.PEM), 0o644)

    def _read_crl(self) -> Iterable[x509.RevokedCertificate]:
        return x509.load_pem_x509_crl(self.crl_pem.read_bytes())

    # -- TLS -----------------------------------------------------------------------------------------

    def server_context(self, leaf: Issued, *, tls13_only: bool = False) -> ssl.SSLContext:
        """For a listener of this domain: see the function of the same name."""
        return server_context(leaf.chain, leaf.key, self.trust_pem, self.crl_pem, tls13_only=tls13_only)

    def client_context(self, leaf: Issued) -> ssl.SSLContext:
        """For a client of this domain: see the function of the same name."""
        return client_context(self.root_pem, leaf.chain, leaf.key)

    def refresh_crl(self, context: ssl.SSLContext) -> None:
        """Make a running server context know the present revocation list."""
        context.load_verify_locations(cafile=str(self.crl_pem))


def server_context(
    chain: Path, key: Path, trust: Path, crl: Path | None = None, *, tls13_only: bool = False
) -> ssl.SSLContext:
    """TLS for servers: a client certificate for client authentication is required and checked strictly, against
    the revocation list if there is one; TLS 1.3, and 1.2 with ECDHE and AEAD ciphers (ETSI GS QKD 014 V1.1.1
    cl. 4 asks for 1.2 or higher); no renegotiation, no compression, no early data (Python has none). With
    `tls13_only` it is Mozilla's "modern" profile: TLS 1.3, key exchange over P-256.

    Raises OSError and ssl.SSLError for files that cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls13_only else ssl.TLSVersion.TLSv1_2
    if tls13_only:
        # Python before 3.15 can name one group or leave OpenSSL's own list, which has X448 and P-521 that the
        # profile refuses. P-256 is the one that clients in FIPS mode have, too.
        context.set_ecdh_curve("prime256v1")
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(chain, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cafile=str(trust))
    if crl is not None:
        context.load_verify_locations(cafile=str(crl))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def client_context(root: Path, chain: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """TLS for clients: the server's chain must end at `root` and its certificate name the host asked for.

    Raises OSError and ssl.SSLError for files that cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cafile=str(root))
    if chain is not None:
        context.load_cert_chain(chain, key)
    return context


# -- files and pieces ------------------------------------------------------------------------------------


def _usage(*, ca: bool) -> x509.KeyUsage:
    unused: dict[str, Any] = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    return x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, decipher_only=False, **unused)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as fault:
        raise PkiError(f"{file}: expected a PEM certificate ({fault}); restore it or issue it anew") from None


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    _check_private(file)
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except ValueError as fault:
        raise PkiError(f"{file}: expected an unencrypted PEM key ({fault}); restore it") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{file}: expected an elliptic-curve key, found {type(key).__name__}")
    return key


def _issued(file: Path, certificate: x509.Certificate) -> Issued:
    name = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    return Issued(
        name,
        file,
        file.with_suffix(".key"),
        certificate.serial_number,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        wanted = 0o700 if path.is_dir() else 0o600
        raise PkiError(f"{path}: expected mode {wanted:o}, found {mode:o}; run: chmod {wanted:o} {path}")


def _write(file: Path, data: bytes, mode: int) -> None:
    """Replace a file in one step: a reader sees the old or the new one, never half."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(new, file)
