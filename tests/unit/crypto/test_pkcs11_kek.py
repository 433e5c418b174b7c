"""Key-encryption keys in a token: they stay there, and what is not such a key is refused. On SoftHSM 2."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rfc3394 import DATA, KEY, WRAPPED

from quoit.adapters.crypto.kek import FileKek, Kek, KekError
from quoit.adapters.crypto.kek_uri import open_kek
from quoit.adapters.crypto.pkcs11_uri import Pkcs11Uri
from softhsm import MODULE, PIN, SoftHsm

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed (the `hsm` extra)")


@contextlib.contextmanager
def session_of(hsm: SoftHsm, token: str = "quoit") -> Iterator[Any]:
    """A session of the test's own, logged in because the key is opened first."""
    with contextlib.closing(open_kek(hsm.key("logs in", token))):
        session = pkcs11.lib(MODULE).get_token(token_label=token).open(rw=True)
        yield session
        session.close()


def import_key(session: Any, label: str, value: bytes = bytes(32), **changes: Any) -> None:
    names = {"sensitive": pkcs11.Attribute.SENSITIVE, "extractable": pkcs11.Attribute.EXTRACTABLE}
    names |= {"wrap": pkcs11.Attribute.WRAP, "unwrap": pkcs11.Attribute.UNWRAP}
    wanted = {"sensitive": True, "extractable": False, "wrap": True, "unwrap": True} | changes
    session.create_object(
        {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
            pkcs11.Attribute.LABEL: label,
            pkcs11.Attribute.VALUE: value,
            pkcs11.Attribute.TOKEN: True,
            **{names[name]: value for name, value in wanted.items()},
        }
    )


def refusal_of(uri: str) -> str:
    """What it is refused with; the PIN is not in it, nor in its traceback."""
    with pytest.raises(KekError) as refused:
        open_kek(uri)
    assert PIN not in "".join(traceback.format_exception(refused.value))
    return str(refused.value)


def test_rfc_3394_4_6_256_bits_of_data_with_a_256_bit_kek(hsm: SoftHsm, tmp_path: Path) -> None:
    with session_of(hsm) as session:
        import_key(session, "rfc3394", KEY)
    with contextlib.closing(open_kek(hsm.uri("rfc3394"))) as kek:
        assert kek.wrap(DATA) == WRAPPED
        assert kek.unwrap(WRAPPED) == DATA


def test_its_key_never_leaves_the_token(hsm: SoftHsm) -> None:
    with contextlib.closing(open_kek(hsm.key("stays"))), session_of(hsm) as session:
        key = session.get_key(label="stays")
        assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]
        with pytest.raises(pkcs11.KeyUnextractable):
            session.get_key(label="logs in").wrap_key(key, mechanism=pkcs11.Mechanism.AES_KEY_WRAP)


def test_no_data_key_stays_in_the_token(hsm: SoftHsm) -> None:
    with contextlib.closing(open_kek(hsm.key("forgets"))) as kek:
        session = kek._session
        before = len(list(session.get_objects()))
        for _ in range(5):
            kek.unwrap(kek.wrap(os.urandom(32)))
        assert len(list(session.get_objects())) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"extractable": True}, "this one may leave its token"),
        ({"sensitive": False}, "this one may leave its token"),
        ({"wrap": False}, "may wrap and unwrap"),
        ({"unwrap": False}, "may wrap and unwrap"),
        ({"value": bytes(16)}, "AES key of 256 bits"),
    ],
)
def test_a_key_that_is_not_as_it_must_be_is_refused(hsm: SoftHsm, changes: dict[str, Any], text: str) -> None:
    label = f"wrong {sorted(changes)}"
    with session_of(hsm) as session:
        import_key(session, label, **changes)
    assert text in refusal_of(hsm.uri(label))


def test_keys_and_tokens_that_are_not_one(hsm: SoftHsm) -> None:
    assert "expected one token of that name" in refusal_of(hsm.uri("kek", token="nobody's"))
    assert "found 2" in refusal_of(hsm.uri("kek", token="twin"))
    assert "expected one secret key of that name, found 0" in refusal_of(hsm.uri("nothing"))
    with session_of(hsm) as session:
        import_key(session, "both")
        import_key(session, "both")
    assert "found 2" in refusal_of(hsm.uri("both"))


def test_a_key_is_found_by_identifier_and_serial_number(hsm: SoftHsm) -> None:
    from quoit.adapters.crypto.pkcs11_kek import generate_key

    serial = pkcs11.lib(MODULE).get_token(token_label="quoit").serial.decode()
    uri = f"pkcs11:serial={serial};id=%07%08?module-path={MODULE}&pin-source={hsm.pin_file}"
    generate_key(Pkcs11Uri.parse(uri))
    with contextlib.closing(open_kek(uri)) as kek:
        assert kek.unwrap(kek.wrap(bytes(32))) == bytes(32)
    with pytest.raises(KekError, match="there is one"):
        generate_key(Pkcs11Uri.parse(uri))


def test_a_wrong_pin_is_told_to_nobody(hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "pin"
    wrong.write_text("hunter2-hunter2")
    wrong.chmod(0o600)
    with pytest.raises(KekError, match="the token refuses the PIN") as refused:
        open_kek(hsm.uri("kek", "other", str(wrong)))
    told = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    assert "hunter2" not in str(refused.value) + repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert "hunter2" not in "".join(told.format())
    monkeypatch.setenv("QUOIT_TEST_PIN", PIN)
    assert "expected one secret key of that name, found 0" in refusal_of(hsm.uri("kek", "other", "env:QUOIT_TEST_PIN"))


def test_a_module_that_is_none(hsm: SoftHsm, tmp_path: Path) -> None:
    uri = hsm.uri("kek")
    for module in ("/nonexistent.so", str(hsm.pin_file)):
        assert module in refusal_of(uri.replace(str(MODULE), module))


def test_a_token_that_is_lost_refuses_and_does_not_say_that_keys_are_wrong(hsm: SoftHsm) -> None:
    kek: Kek = open_kek(hsm.key("lost"))
    wrapped = kek.wrap(bytes(32))
    pkcs11.lib(MODULE).reinitialize()  # every session of the process ends
    for use in (lambda: kek.wrap(bytes(32)), lambda: kek.unwrap(wrapped)):
        with pytest.raises(KekError, match="key lost in token quoit"):
            use()
    kek.close()
    with contextlib.closing(open_kek(hsm.uri("lost"))) as again:
        assert again.unwrap(wrapped) == bytes(32)


def test_a_device_that_fails_at_everything_is_not_taken_for_a_wrong_key(
    hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SoftHSM says CKR_GENERAL_ERROR to what does not fit its checksum, where others say it of themselves."""
    with contextlib.closing(open_kek(hsm.key("fails"))) as kek:
        wrapped = kek.wrap(bytes(32))

        def fail(*_: object) -> bytes:
            raise pkcs11.GeneralError

        monkeypatch.setattr(kek, "_unwrap", fail)
        with pytest.raises(KekError, match="GeneralError"):
            kek.unwrap(wrapped)


def test_what_a_file_wrapped_a_token_does_not_open(hsm: SoftHsm, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

    with contextlib.closing(open_kek(hsm.key("token"))) as kek, pytest.raises(InvalidUnwrap):
        kek.unwrap(FileKek(tmp_path / "kek").wrap(bytes(32)))
