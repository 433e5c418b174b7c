from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from quoit.adapters.crypto.pki import Authority, PkiError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(moment: datetime, directory: Path) -> Authority:
    return Authority(directory, "test", now=lambda: moment)


def test_first_use_makes_and_later_use_reads(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    first = at(NOW, directory).root_pem.read_bytes()
    assert at(NOW, directory).root_pem.read_bytes() == first
    assert directory.stat().st_mode & 0o777 == 0o700
    for key in directory.rglob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600


def test_chains_verify_with_the_root_alone(tmp_path: Path) -> None:
    authority = at(NOW, tmp_path)
    leaf = authority.issue_kme("kme-a", ["127.0.0.1"], ["kme-a.test"])
    root = x509.load_pem_x509_certificate(authority.root_pem.read_bytes())
    certificate, *rest = x509.load_pem_x509_certificates(leaf.chain.read_bytes())
    builder = PolicyBuilder().store(Store([root])).time(NOW)
    chain = builder.build_server_verifier(x509.DNSName("kme-a.test")).verify(certificate, rest)
    assert len(chain) == 3
    client = authority.issue_application("alice", "urn:qkd:test:alice")
    certificate, *rest = x509.load_pem_x509_certificates(client.chain.read_bytes())
    verified = builder.build_client_verifier().verify(certificate, rest)
    assert [name.value for name in verified.subjects or []] == ["urn:qkd:test:alice"]


def test_leaves_live_a_day_backdated_and_are_due_at_two_thirds(tmp_path: Path) -> None:
    authority = at(NOW, tmp_path)
    leaf = authority.issue_application("alice")
    assert leaf.not_before == NOW - timedelta(minutes=5)
    assert leaf.not_after == NOW + timedelta(hours=24)
    assert authority.renew_due(NOW + timedelta(hours=15, minutes=59)) == ()
    later = NOW + timedelta(hours=16)
    assert at(later, tmp_path).renew_due() == (leaf,)
    renewed = at(later, tmp_path).renew(leaf)
    assert renewed.not_after == later + timedelta(hours=24)
    assert renewed.serial != leaf.serial
    assert at(later, tmp_path).renew_due() == ()


def test_renewal_keeps_names_and_usage(tmp_path: Path) -> None:
    authority = at(NOW, tmp_path)
    leaf = authority.issue_kme("kme-a", ["127.9.0.1"], ["kme-a.test"])
    kinds = (x509.SubjectAlternativeName, x509.ExtendedKeyUsage)

    def names() -> list[object]:
        certificate = x509.load_pem_x509_certificate(leaf.chain.read_bytes())
        return [certificate.subject, *(certificate.extensions.get_extension_for_class(kind).value for kind in kinds)]

    before = names()
    authority.renew(leaf)
    assert names() == before


def test_revocation_is_kept_and_each_list_is_later_than_the_last(tmp_path: Path) -> None:
    authority = at(NOW, tmp_path)
    dates = [x509.load_pem_x509_crl(authority.crl_pem.read_bytes()).last_update_utc]
    for serial in (11, 12):
        authority.revoke(serial)
        dates.append(x509.load_pem_x509_crl(authority.crl_pem.read_bytes()).last_update_utc)
    assert dates == sorted(set(dates))
    assert dates[-1] <= NOW
    again = at(NOW, tmp_path)
    assert [again.is_revoked(serial) for serial in (11, 12, 13)] == [True, True, False]
    assert not again.crl_due
    assert at(NOW + timedelta(days=5), tmp_path).crl_due


def test_the_root_key_may_be_offline_until_the_domain_is_due(tmp_path: Path) -> None:
    authority = at(NOW, tmp_path)
    key = (tmp_path / "root.key").read_bytes()
    (tmp_path / "root.key").unlink()
    later = at(NOW + timedelta(days=300), tmp_path)
    assert (authority.domain_due, later.domain_due) == (False, True)
    with pytest.raises(PkiError, match="put it back"):
        later.renew_domain()
    (tmp_path / "root.key").write_bytes(key)
    (tmp_path / "root.key").chmod(0o600)
    later.renew_domain()
    assert not later.domain_due


def test_a_name_is_no_path(tmp_path: Path) -> None:
    leaf = at(NOW, tmp_path / "pki").issue_application("../../alice")
    assert leaf.chain.parent == tmp_path / "pki" / "sae"
    assert leaf.name == "../../alice"


@pytest.mark.shows_secrets("a private key that others may read is what it tries")
def test_what_others_may_read_is_refused(tmp_path: Path) -> None:
    at(NOW, tmp_path / "pki")
    (tmp_path / "pki" / "domain.key").chmod(0o644)
    with pytest.raises(PkiError, match=r"domain\.key: expected mode 600, found 644; run: chmod 600"):
        at(NOW, tmp_path / "pki")
    (tmp_path / "pki").chmod(0o755)
    with pytest.raises(PkiError, match="expected mode 700, found 755"):
        at(NOW, tmp_path / "pki")


def test_half_a_pki_is_refused_not_remade(tmp_path: Path) -> None:
    at(NOW, tmp_path)
    (tmp_path / "domain.pem").unlink()
    with pytest.raises(PkiError, match=r"domain\.pem is missing"):
        at(NOW, tmp_path)
