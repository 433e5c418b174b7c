"""From a verified client certificate to the SAE that it stands for.

The rule: a certificate offers names of five kinds; the registry says which SAE a name stands for. Every
registered name in the certificate must lead to the same SAE; if none is registered, or two lead to different
SAEs, there is no identity and the request is refused. quoit's own PKI writes two names: the application's URN
as URI subject alternative name, and its SAE ID as common name. A certificate that names a role (quoit.model.role)
is no application's, whatever its other names are. ETSI GS QKD 014 V1.1.1 cl. 5.1 asks for the SAE
ID to come from the certificate and leaves open where it stands there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from quoit.model.problem import Problem
from quoit.model.role import URN_PREFIX


class NameKind(StrEnum):
    """Where in a certificate a name stands, in the usual order of looking."""

    URI = "uri"
    DNS = "dns"
    CN = "cn"
    SERIAL = "serial"  # lower-case hex without leading zeros; unique within one issuer only
    SHA256 = "sha256"  # lower-case hex of the DER's digest


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection. `sae` is None if nobody we know: `refused` says why."""

    sae: str | None
    fingerprint: str
    serial: int
    not_after_unix_s: float
    refused: str | None = None


def _none_revoked(serial: int) -> bool:
    return False


class Identities:
    """The registry: names that certificates may carry, and the SAE each stands for.

    `kinds` says what to look at. `is_revoked` and `now` are asked once a connection: a resumed TLS session
    brings its certificate back without OpenSSL checking it again.
    """

    def __init__(
        self,
        names: Mapping[tuple[NameKind, str], str],
        *,
        kinds: tuple[NameKind, ...] = tuple(NameKind),
        is_revoked: Callable[[int], bool] = _none_revoked,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._names = dict(names)
        self._kinds = kinds
        self._is_revoked = is_revoked
        self._now = now

    @classmethod
    def of(cls, applications: Iterable[tuple[str, str | None]], **options: Any) -> Identities:
        """The registry of a network file: pairs (SAE ID, URN). Raises ValueError if two share a name."""
        names: dict[tuple[NameKind, str], str] = {}
        for sae, urn in applications:
            for name in ((NameKind.CN, sae), *(((NameKind.URI, urn),) if urn else ())):
                if names.setdefault(name, sae) != sae:
                    raise ValueError(f"{name[0]} name {name[1]!r} stands for both {names[name]!r} and {sae!r}")
        return cls(names, **options)

    def read(self, der: bytes) -> Peer:
        """The peer that presented this certificate, which TLS has verified already. Never raises."""
        fingerprint = hashlib.sha256(der).hexdigest()
        try:
            certificate = x509.load_der_x509_certificate(der)
            offered = list(_offered(certificate, fingerprint, self._kinds))
        except ValueError:
            return Peer(None, fingerprint, 0, 0.0, "the certificate cannot be read")
        until = certificate.not_valid_after_utc
        sae, refused = self._decide(certificate, offered)
        return Peer(sae, fingerprint, certificate.serial_number, until.timestamp(), refused)

    def _decide(
        self, certificate: x509.Certificate, offered: list[tuple[NameKind, str]]
    ) -> tuple[str | None, str | None]:
        if self._is_revoked(certificate.serial_number):
            return None, "the certificate is revoked"
        if self._now() > certificate.not_valid_after_utc:
            return None, "the certificate is expired"
        roles = [name for _, name in _offered(certificate, "", (NameKind.URI,)) if name.startswith(URN_PREFIX)]
        if any((NameKind.URI, role) not in self._names for role in roles):
            return None, "the certificate is for a role that has nothing to do here"
        found = {self._names[name] for name in offered if name in self._names}
        if len(found) > 1:
            return None, "the certificate's names stand for different applications"
        if not found:
            return None, "no application is registered under a name of this certificate"
        return found.pop(), None


def _offered(
    certificate: x509.Certificate, fingerprint: str, kinds: tuple[NameKind, ...]
) -> Iterable[tuple[NameKind, str]]:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = san.get_values_for_type(x509.UniformResourceIdentifier)
        hosts = san.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        uris, hosts = [], []
    common = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    names = {
        NameKind.URI: uris,
        NameKind.DNS: [host.lower() for host in hosts],
        NameKind.CN: common,
        NameKind.SERIAL: [f"{certificate.serial_number:x}"],
        NameKind.SHA256: [fingerprint],
    }
    for kind in kinds:
        for name in names[kind]:
            yield kind, name


def caller_of(scope: Mapping[str, Any]) -> str:
    """The SAE ID of the connection that an ASGI scope came over. Raises `Problem("no-identity")`: no header,
    path or body can stand in for the certificate."""
    peer = scope.get("state", {}).get("peer")
    if not isinstance(peer, Peer):
        raise Problem("no-identity")
    if peer.sae is None:
        raise Problem("no-identity", peer.refused or "")
    return peer.sae
