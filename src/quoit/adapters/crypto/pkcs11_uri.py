"""Names of keys in PKCS#11 tokens: the URIs of RFC 7512, as far as one is needed to find a key-encryption key.

    pkcs11:token=hsm;object=quoit-kek?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/quoit/pin

The PIN is never part of it: `pin-source` says where it is, a file of mode 0600 (`file:/etc/quoit/pin`, or the path
alone) or a variable of the environment (`env:QUOIT_PIN`, a form of our own). `pin-value` is refused, for command lines
are for everybody to read; so is a `pin-source` that is a command (`|...`). An attribute that is not known here is
refused rather than passed over: what it would have excluded must not be used.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from quoit.adapters.crypto.kek import KekError, KekFileError, read_secret_file
from quoit.model.secret import Secret

_PATH = ("token", "serial", "manufacturer", "model", "object", "id", "type")
_QUERY = ("module-path", "pin-source")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Pkcs11UriError(KekError):
    """Not a URI of RFC 7512 that names a key as it is needed here. The text holds no value of the URI."""


@dataclass(frozen=True)
class Pkcs11Uri:
    """A key's name. What is None may be anything; `module` is the token's library, `pin_source` where the PIN is."""

    module: Path
    pin_source: str
    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None

    @classmethod
    def parse(cls, text: str) -> Pkcs11Uri:
        """Raises `Pkcs11UriError`."""
        scheme, _, rest = text.partition(":")
        if scheme.lower() != "pkcs11":
            raise Pkcs11UriError("expected pkcs11:token=...;object=...?module-path=...&pin-source=...")
        path, _, query = rest.partition("?")
        given = _attributes(path, ";", _PATH) | _attributes(query, "&", _QUERY)
        words = {name: _text(name, value) for name, value in given.items() if name != "id"}
        _must_name_one_key(words, given)
        names = ("token", "serial", "manufacturer", "model", "object")
        return cls(
            Path(words["module-path"]),
            words["pin-source"],
            id=given.get("id"),
            **{name: words[name] for name in names if name in words},
        )

    def pin(self) -> Secret:
        """The PIN, from where it is. Raises `KekError`."""
        scheme, colon, rest = self.pin_source.partition(":")
        if colon and scheme == "env":
            found = os.environ.get(rest)
            if not found:
                raise KekError(f"pin-source: the environment has no variable {rest}, or an empty one")
            return Secret(found.encode())
        content = read_secret_file(Path(rest if colon else self.pin_source)).rstrip(b"\r\n")
        if not content:
            raise KekFileError(f"{rest if colon else self.pin_source}: expected a PIN, found an empty file")
        return Secret(content)

    def __str__(self) -> str:
        """Which key in which token, for messages."""
        key = self.object if self.object is not None else (self.id or b"").hex()
        return f"key {key} in token {self.token or self.serial or self.model or self.manufacturer}"


def _attributes(part: str, separator: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for attribute in filter(None, part.split(separator)):
        name, equals, value = attribute.partition("=")
        if name == "pin-value":
            raise Pkcs11UriError("pin-value: a PIN on a command line is for everybody to read; give pin-source")
        if name not in known:
            # The name as it stands might be a piece of a PIN that was not encoded.
            raise Pkcs11UriError(f"an attribute that is not known; before or after the ? it is {', '.join(known)}")
        if not equals or _BROKEN.search(value) or "#" in value:
            raise Pkcs11UriError(f"{name}: expected a value, percent-encoded as RFC 7512 says")
        if name in found:
            raise Pkcs11UriError(f"{name}: given twice")
        found[name] = unquote_to_bytes(value)
    return found


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Pkcs11UriError(f"{name}: expected UTF-8") from None
    if "\0" in text:
        raise Pkcs11UriError(f"{name}: expected no zero bytes")
    return text


def _must_name_one_key(words: dict[str, str], given: dict[str, bytes]) -> None:
    if not given.keys() & {"object", "id"}:
        raise Pkcs11UriError("expected object or id: which key it is")
    if not given.keys() & {"token", "serial", "manufacturer", "model"}:
        raise Pkcs11UriError("expected token or serial: which token the key is in")
    if words.get("type", "secret-key") != "secret-key":
        raise Pkcs11UriError("type: expected secret-key")
    if not Path(words.get("module-path", "")).is_absolute():
        raise Pkcs11UriError("module-path: expected the absolute path of the token's PKCS#11 library")
    source = words.get("pin-source", "")
    if not re.fullmatch(r"(file:)?/[^\0]+|env:[A-Za-z_][A-Za-z0-9_]*", source):
        raise Pkcs11UriError("pin-source: expected file:/PATH of a file of mode 0600, or env:VARIABLE")
