"""URIs of RFC 7512, as far as a key-encryption key needs them: no PIN in them, and none in what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.adapters.crypto.kek import KekError, KekFileError
from quoit.adapters.crypto.pkcs11_uri import Pkcs11Uri, Pkcs11UriError

QUERY = "?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/quoit/pin"


def test_what_it_names() -> None:
    found = Pkcs11Uri.parse(f"pkcs11:token=My%20token;serial=0a1b;object=quoit%3Bkek;id=%01%ff;type=secret-key{QUERY}")
    assert found == Pkcs11Uri(
        Path("/usr/lib/softhsm/libsofthsm2.so"),
        "file:/etc/quoit/pin",
        token="My token",
        serial="0a1b",
        object="quoit;kek",
        id=b"\x01\xff",
    )
    assert str(found) == "key quoit;kek in token My token"


def test_any_one_attribute_of_each_is_enough() -> None:
    for token in ("token=t", "serial=1", "manufacturer=m", "model=x"):
        for key in ("object=o", "id=%07"):
            Pkcs11Uri.parse(f"PKCS11:{key};{token}{QUERY}")


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("kek.bin", "expected pkcs11:"),
        (f"pkcs11:token=t{QUERY}", "expected object or id"),
        (f"pkcs11:object=o{QUERY}", "expected token or serial"),
        (f"pkcs11:token=t;object=o;object=o2{QUERY}", "object: given twice"),
        (f"pkcs11:token=t;object=o;type=private{QUERY}", "type: expected secret-key"),
        (f"pkcs11:token=t;object=o;slot-id=1{QUERY}", "an attribute that is not known"),
        (f"pkcs11:token=t;object=o;pin-source=/x{QUERY}", "an attribute that is not known"),
        (f"pkcs11:token=%zz;object=o{QUERY}", "token: expected a value, percent-encoded"),
        (f"pkcs11:token=%ff;object=o{QUERY}", "token: expected UTF-8"),
        (f"pkcs11:token=a%00b;object=o{QUERY}", "token: expected no zero bytes"),
        (f"pkcs11:token;object=o{QUERY}", "token: expected a value"),
        (f"pkcs11:token=a#b;object=o{QUERY}", "token: expected a value"),
        ("pkcs11:token=t;object=o", "module-path: expected the absolute path"),
        ("pkcs11:token=t;object=o?module-path=x.so&pin-source=/p", "module-path: expected the absolute path"),
        ("pkcs11:token=t;object=o?module-path=/x.so", "pin-source: expected file:/PATH"),
        ("pkcs11:token=t;object=o?module-path=/x.so&pin-source=|cat%20/p", "pin-source: expected file:/PATH"),
        ("pkcs11:token=t;object=o?module-path=/x.so&pin-source=pin", "pin-source: expected file:/PATH"),
        ("pkcs11:token=t;object=o?module-path=/x.so&pin-source=env:A-B", "pin-source: expected file:/PATH"),
        (f"pkcs11:token=t;object=o{QUERY}&pin-value=hunter2", "pin-value: a PIN on a command line"),
        (f"pkcs11:token=t;object=o{QUERY}&hunter2", "an attribute that is not known"),
    ],
)
def test_what_it_refuses(uri: str, text: str) -> None:
    with pytest.raises(Pkcs11UriError) as refused:
        Pkcs11Uri.parse(uri)
    assert text in str(refused.value)
    assert "hunter2" not in str(refused.value)


@given(st.text() | st.text(alphabet="token=;objcidp-sure/%?&#:01af").map(lambda rest: f"pkcs11:{rest}"))
def test_no_text_brings_it_to_anything_but_a_name_or_its_refusal(text: str) -> None:
    try:
        found = Pkcs11Uri.parse(text)
    except Pkcs11UriError:
        return
    assert found.module.is_absolute()
    assert found.object is not None or found.id is not None


def _with_pin(source: str) -> Pkcs11Uri:
    return Pkcs11Uri.parse(f"pkcs11:token=t;object=o?module-path=/x.so&pin-source={source}")


def test_a_pin_in_a_file(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text("12 34\r\n")
    pin.chmod(0o600)
    assert _with_pin(f"file:{pin}").pin().reveal() == b"12 34"
    assert _with_pin(str(pin)).pin().reveal() == b"12 34"
    assert "12 34" not in repr(_with_pin(str(pin)))
    pin.chmod(0o640)
    with pytest.raises(KekFileError, match="expected mode 0600, found 0640"):
        _with_pin(str(pin)).pin()
    pin.chmod(0o600)
    pin.write_text("\n")
    with pytest.raises(KekFileError, match="empty"):
        _with_pin(str(pin)).pin()


def test_a_pin_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOIT_PIN", "1234")
    assert _with_pin("env:QUOIT_PIN").pin().reveal() == b"1234"
    for unset in (lambda: monkeypatch.setenv("QUOIT_PIN", ""), lambda: monkeypatch.delenv("QUOIT_PIN")):
        unset()
        with pytest.raises(KekError, match="no variable QUOIT_PIN"):
            _with_pin("env:QUOIT_PIN").pin()
