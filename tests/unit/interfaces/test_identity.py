from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from quoit.adapters.crypto.pki import Authority
from quoit.interfaces.identity import Identities, NameKind, Peer, caller_of
from quoit.model.problem import Problem

URN = "urn:qkd:madqci:alice"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def der(authority: Authority, cn: str, urn: str | None = None) -> bytes:
    pem = authority.issue_application(cn, urn).chain.read_bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def test_urn_or_common_name_lead_to_the_sae(authority: Authority) -> None:
    known = Identities.of([("alice", URN), ("bob", None)])
    assert known.read(der(authority, "alice", URN)).sae == "alice"
    assert known.read(der(authority, "somebody", URN)).sae == "alice"
    assert known.read(der(authority, "bob")).sae == "bob"


@pytest.mark.parametrize("kind", [NameKind.SERIAL, NameKind.SHA256])
def test_a_single_certificate_can_be_pinned(authority: Authority, kind: NameKind) -> None:
    data = der(authority, "box-17")
    peer = Identities({}).read(data)
    name = f"{peer.serial:x}" if kind is NameKind.SERIAL else peer.fingerprint
    assert Identities({(kind, name): "alice"}).read(data).sae == "alice"
    others = tuple(k for k in NameKind if k is not kind)
    assert Identities({(kind, name): "alice"}, kinds=others).read(data).sae is None


def test_names_of_two_applications_are_refused(authority: Authority) -> None:
    peer = Identities.of([("alice", URN), ("bob", None)]).read(der(authority, "bob", URN))
    assert peer.sae is None
    assert peer.refused == "the certificate's names stand for different applications"


def test_unknown_revoked_expired_and_unreadable_certificates_have_no_identity(authority: Authority) -> None:
    data = der(authority, "alice", URN)
    cases = {
        "registered": Identities.of([("bob", None)]),
        "revoked": Identities.of([("alice", URN)], is_revoked=lambda serial: True),
        "expired": Identities.of([("alice", URN)], now=lambda: datetime.now(UTC) + timedelta(days=2)),
    }
    for word, identities in cases.items():
        peer = identities.read(data)
        assert peer.sae is None
        assert word in str(peer.refused)
    assert Identities.of([("alice", URN)]).read(data[:50]).refused == "the certificate cannot be read"


def test_a_registry_does_not_give_one_name_to_two() -> None:
    with pytest.raises(ValueError, match="stands for both 'alice' and 'bob'"):
        Identities.of([("alice", URN), ("bob", URN)])


@pytest.mark.parametrize("state", [{}, {"peer": "alice"}, {"peer": Peer(None, "", 0, 0.0, "why")}])
def test_no_identity_is_a_problem(state: dict[str, object]) -> None:
    with pytest.raises(Problem, match="no-identity"):
        caller_of({"state": state, "headers": [(b"client-cert", b"alice")]})
    assert caller_of({"state": {"peer": Peer("alice", "", 0, 0.0)}}) == "alice"
