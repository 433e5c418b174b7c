"""Who is at the other end of a connection: from the verified certificate, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Peer:
    """`name` is the subject's common name: the SAE ID. `urn` its URI SAN, if it has exactly one."""

    name: str
    urn: str | None
    serial: int
    not_after_unix_s: float


def peer_of(der: bytes) -> Peer | None:
    """Identity in a certificate that TLS has verified; None if it names nobody, or more than one."""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or not isinstance(names[0].value, str) or not names[0].value:
        return None
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        urns = san.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        urns = []
    if len(urns) > 1:
        return None
    until = certificate.not_valid_after_utc.timestamp()
    return Peer(names[0].value, urns[0] if urns else None, certificate.serial_number, until)
