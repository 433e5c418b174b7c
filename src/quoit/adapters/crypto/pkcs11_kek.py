"""A key-encryption key in a PKCS#11 token, which it never leaves: an AES-256 key, sensitive and not extractable.

Data keys are wrapped by the token's CKM_AES_KEY_WRAP (RFC 3394; PKCS#11 V2.40 Mechanisms cl. 2.14), and not by
CKM_AES_GCM: it needs no nonce, so that a key may wrap any number of data keys and nothing has to be remembered for it
(GCM with random nonces ends after 2**32, NIST SP 800-38D cl. 8.3). And by C_WrapKey rather than C_Encrypt, which
tokens need not offer for it (SoftHSM 2.6 does not): the data key is a session object for a moment, which the token
forgets. What is wrapped is the same 40 bytes as with a key in a file.

Limits: a token that lets no key in or out in clear, as some do in FIPS mode, is refused when it is opened. A call to a
token has no deadline of ours, for a C function cannot be left; what its library does about a lost device counts.

Needs the `hsm` extra. https://docs.oasis-open.org/pkcs11/pkcs11-curr/v2.40/os/pkcs11-curr-v2.40-os.html
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from quoit.adapters.crypto.kek import DATA_KEY_BYTES, KekError, must_be_a_data_key
from quoit.adapters.crypto.pkcs11_uri import Pkcs11Uri

_IN_A_TOKEN = threading.RLock()
"""Held in every call. A PKCS#11 library has one state for the whole process, and python-pkcs11 initialises it without
CKF_OS_LOCKING_OK, by which it says that threads take turns."""

_PIN_FAULTS = {
    pkcs11.PinIncorrect: "the token refuses the PIN; it was not tried again, for tokens count",
    pkcs11.PinLenRange: "the token refuses the PIN: no PIN of it is so long or so short",
    pkcs11.PinInvalid: "the token refuses the PIN: it has characters that no PIN of it has",
    pkcs11.PinLocked: "the token has locked its PIN after too many wrong ones",
    pkcs11.PinExpired: "the token wants a new PIN",
    pkcs11.UserPinNotInitialized: "the token has no user PIN yet",
}
_ALTERED = (pkcs11.WrappedKeyInvalid, pkcs11.WrappedKeyLenRange, pkcs11.EncryptedDataInvalid)


class Pkcs11Kek:
    """See `Kek`. Opening it logs in and has the token wrap and unwrap a random key. Raises `KekError`."""

    def __init__(self, uri: Pkcs11Uri) -> None:
        self._about = str(uri)
        with _IN_A_TOKEN, _as_kek_error(self._about):
            token = _token_of(uri)
            _log_in(token, uri)
            self._session = token.open()
            self._key = _key_of(self._session, uri)
            self._must_work()

    def _must_work(self) -> None:
        trial = os.urandom(DATA_KEY_BYTES)
        if self._unwrap(self._wrap(trial)) != trial:
            raise KekError(f"{self._about}: what the token wrapped it unwraps to something else")

    def wrap(self, data_key: bytes) -> bytes:
        must_be_a_data_key(data_key)
        with _IN_A_TOKEN, _as_kek_error(self._about):
            return self._wrap(data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        with _IN_A_TOKEN, _as_kek_error(self._about):
            try:
                data_key = self._unwrap(wrapped)
            except _ALTERED as fault:
                raise InvalidUnwrap(type(fault).__name__) from None
            except pkcs11.GeneralError:
                # SoftHSM's word for a checksum that does not fit, and others' for a broken device.
                self._must_work()
                raise InvalidUnwrap("the token cannot unwrap this, and can unwrap") from None
        if len(data_key) != DATA_KEY_BYTES:
            raise InvalidUnwrap(f"expected a data key of {DATA_KEY_BYTES} bytes, found {len(data_key)}")
        return data_key

    def close(self) -> None:
        """Close the session. The login stays until the process ends: it is the token's, and other keys may use it."""
        with _IN_A_TOKEN, contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()

    def _wrap(self, data_key: bytes) -> bytes:
        inside = self._session.create_object(
            {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.VALUE: data_key}
            | _FOR_A_MOMENT
        )
        try:
            return bytes(self._key.wrap_key(inside, mechanism=Mechanism.AES_KEY_WRAP))
        finally:
            inside.destroy()

    def _unwrap(self, wrapped: bytes) -> bytes:
        inside = self._key.unwrap_key(
            ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP, template=_FOR_A_MOMENT
        )
        try:
            return bytes(inside[Attribute.VALUE])
        finally:
            inside.destroy()


_FOR_A_MOMENT = {
    Attribute.TOKEN: False,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
}
"""What a data key is while it is in the token: an object of the session, for who is logged in, that may leave."""


def generate_key(uri: Pkcs11Uri) -> None:
    """Have the token make the key of this name, never to let it out. Raises `KekError`, also if it has one."""
    with _IN_A_TOKEN, _as_kek_error(str(uri)):
        token = _token_of(uri)
        _log_in(token, uri)
        session = token.open(rw=True)
        try:
            if list(session.get_objects(_template(uri))):
                raise KekError(f"{uri}: there is one; a key is not replaced, for what it wrapped would not open")
            session.generate_key(
                KeyType.AES,
                8 * DATA_KEY_BYTES,
                id=uri.id,
                label=uri.object,
                store=True,
                capabilities=pkcs11.MechanismFlag.WRAP | pkcs11.MechanismFlag.UNWRAP,
                template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
            )
        finally:
            session.close()


def _token_of(uri: Pkcs11Uri) -> Any:
    found = [
        token
        for token in pkcs11.lib(str(uri.module)).get_tokens()
        if uri.token in (None, token.label)
        and uri.serial in (None, token.serial.decode(errors="replace").rstrip())
        and uri.manufacturer in (None, token.manufacturer_id)
        and uri.model in (None, token.model)
    ]
    if len(found) != 1:
        raise KekError(f"{uri}: expected one token of that name at {uri.module}, found {len(found)}")
    return found[0]


def _log_in(token: Any, uri: Pkcs11Uri) -> None:
    """The session that logs in is left open: a login is the process's and not a session's, and ends with its logout."""
    pin = uri.pin()
    try:
        token.open(user_pin=pin.reveal().decode())
    except UnicodeDecodeError:
        raise KekError("pin-source: expected a PIN in UTF-8") from None
    except pkcs11.UserAlreadyLoggedIn:
        pass  # by another key-encryption key of the same token
    finally:
        pin.wipe()


def _template(uri: Pkcs11Uri) -> dict[Attribute, Any]:
    wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: uri.object, Attribute.ID: uri.id}
    return {attribute: value for attribute, value in wanted.items() if value is not None}


def _key_of(session: Any, uri: Pkcs11Uri) -> Any:
    found = list(session.get_objects(_template(uri)))
    if len(found) != 1:
        raise KekError(f"{uri}: expected one secret key of that name, found {len(found)}")
    (key,) = found
    if (key[Attribute.KEY_TYPE], key[Attribute.VALUE_LEN]) != (KeyType.AES, DATA_KEY_BYTES):
        raise KekError(f"{uri}: expected an AES key of {8 * DATA_KEY_BYTES} bits, found another kind")
    if not key[Attribute.SENSITIVE] or key[Attribute.EXTRACTABLE]:
        raise KekError(f"{uri}: expected a key that is sensitive and not extractable; this one may leave its token")
    if not (key[Attribute.WRAP] and key[Attribute.UNWRAP]):
        raise KekError(f"{uri}: expected a key that may wrap and unwrap (CKA_WRAP, CKA_UNWRAP)")
    return key


@contextlib.contextmanager
def _as_kek_error(about: str) -> Iterator[None]:
    """The library's errors in our words. They are not chained: a PIN is in the variables of their frames."""
    try:
        yield
    except pkcs11.PKCS11Error as fault:
        said = _PIN_FAULTS.get(type(fault)) or f"{type(fault).__name__} {fault}".strip()
        raise KekError(f"{about}: {said}") from None
