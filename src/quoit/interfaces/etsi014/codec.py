"""ETSI GS QKD 014 V1.1.1 as a pure codec: requests to messages of the Service stratum, replies to JSON.

Strict in what could be read in two ways (duplicate members, integers, percent-encoding, blank names), tolerant
in what the standard leaves open (unknown members, an empty POST body). Compat flags bend it for clients that
go by other readings; none is on by default.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem
from quoit.service.api import GetStatus, Key, Keys, OpenKeys, Status, TakeKeys

PREFIX = b"/api/v1/keys/"
# Table 2: what a function is called in the path, and with which methods. No HEAD: it would take a key unseen.
METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"status": ("GET",), "enc_keys": ("GET", "POST"), "dec_keys": ("GET", "POST")}
)
SYNTHETIC = MappingProxyType({"quoit_synthetic": True})
MAX_SAE_ID_LENGTH = 256
_MOST_NAMED = 16

_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")


@dataclass(frozen=True)
class Limits:
    """What a KME serves; sizes in bits and whole bytes. The same numbers as in its Status (table 9)."""

    key_size_bits: int = 256
    min_key_size_bits: int = 64
    max_key_size_bits: int = 4096
    max_key_per_request: int = 128
    max_sae_id_count: int = 4


@dataclass(frozen=True)
class Compat:
    """Other readings of the standard, by name; all off.

    `dec_path_self`: dec_keys may name the caller itself in the path; the key_ID alone decides.
    `unknown_key_404`: 404 instead of 400 for keys that are not there.
    `allow_self_pair`: SAEs that may share keys with themselves, for diagnostic programs.
    `quditto2`: GET only, `size` required, answers in the shape of Quditto 2, always 200.
    `qukaydee`: every entry of key_IDs must repeat the path's SAE as `master_SAE_ID`.
    """

    dec_path_self: bool = False
    unknown_key_404: bool = False
    allow_self_pair: frozenset[str] = frozenset()
    quditto2: bool = False
    qukaydee: bool = False


DEFAULT_LIMITS = Limits()
STRICT = Compat()


class Call(NamedTuple):
    """A path of table 2, taken apart: `peer` is the other SAE, `function` one of `METHODS`."""

    peer: str
    function: str


def route(raw_path: bytes) -> Call:
    """Take a path apart as it was sent, decoding the SAE ID once.

    Raises `Problem("no-such-path")` and `Problem("bad-sae-id")`.
    """
    parts = raw_path.removeprefix(PREFIX).split(b"/")
    function = parts[-1].decode("ascii", "replace")
    if not raw_path.startswith(PREFIX) or len(parts) != 2 or function not in METHODS:
        raise Problem("no-such-path", "expected /api/v1/keys/{SAE ID, percent-encoded}/{status|enc_keys|dec_keys}")
    return Call(_decode_sae(parts[0]), function)


def check_method(function: str, method: str, compat: Compat = STRICT) -> None:
    """Raises `Problem("method-not-allowed")` with field `allow`."""
    allowed = ("GET",) if compat.quditto2 else METHODS[function]
    if method not in allowed:
        allow = ", ".join(allowed)
        raise Problem("method-not-allowed", f"{function} takes {allow}", allow=allow)


def _decode_sae(segment: bytes) -> str:
    if _BAD_PERCENT.search(segment):
        raise Problem("bad-sae-id", "a % is not followed by two hex digits")
    try:
        name = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("bad-sae-id", "it is not UTF-8") from None
    _check_name(name, "bad-sae-id")
    return name


def _check_name(name: str, code: str) -> None:
    if not name.strip() or name != name.strip():
        raise Problem(code, "an SAE ID is blank, or begins or ends with a space")
    if len(name) > MAX_SAE_ID_LENGTH:
        raise Problem(code, f"an SAE ID has more than {MAX_SAE_ID_LENGTH} characters")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise Problem(code, "an SAE ID has a control character")


class Codec:
    """One KME's reading of 014. `new_key_ids` draws so many random version-4 UUIDs in lower case."""

    def __init__(
        self,
        new_key_ids: Callable[[int], tuple[str, ...]],
        limits: Limits = DEFAULT_LIMITS,
        compat: Compat = STRICT,
    ) -> None:
        self.limits = limits
        self.compat = compat
        self._new_key_ids = new_key_ids

    def parse(
        self, caller: str, call: Call, method: str, query: bytes = b"", body: bytes = b""
    ) -> GetStatus | OpenKeys | TakeKeys:
        """The message that a request stands for. Syntax is checked before the path's SAE is compared to the
        caller; whether keys exist and whose they are is the element's to say.

        Raises `Problem` with a status of 400.
        """
        if call.function == "status":
            self._refuse_self(caller, call.peer)
            return GetStatus(caller, call.peer)
        if call.function == "enc_keys":
            members = self._enc_query(query) if method == "GET" else _body_object(body)
            return self._open_keys(caller, call.peer, members)
        key_ids = self._dec_query(query) if method == "GET" else self._dec_body(call.peer, body)
        return self._take_keys(caller, call.peer, key_ids)

    # -- get key -------------------------------------------------------------------------------------

    def _enc_query(self, query: bytes) -> dict[str, Any]:
        fields = _query_fields(query)
        for name in ("additional_slave_SAE_IDs", "extension_mandatory", "extension_optional"):
            if name in fields:
                raise Problem("malformed", f"{name} takes POST")
        if self.compat.quditto2 and "size" not in fields:
            raise Problem("malformed", "size is required here")
        return {name: _decimal(name, fields[name]) for name in ("number", "size") if name in fields}

    def _open_keys(self, caller: str, slave: str, members: dict[str, Any]) -> OpenKeys:
        number = self._number(members)
        size = self._size(members)
        additional = self._additional(members, caller, slave)
        _check_extensions(members)
        self._refuse_self(caller, slave)
        return OpenKeys(caller, slave, number, self._new_key_ids(number), size, additional)

    def _number(self, members: dict[str, Any]) -> int:
        number = _integer(members, "number", 1)
        if not 1 <= number <= self.limits.max_key_per_request:
            raise Problem("bad-number", f"expected 1 to {self.limits.max_key_per_request}, found {number}")
        return number

    def _size(self, members: dict[str, Any]) -> int | None:
        if "size" not in members:
            return None
        size = _integer(members, "size", 0)
        least, most = self.limits.min_key_size_bits, self.limits.max_key_size_bits
        if size > 0 and size % 8:
            raise Problem("size-not-multiple-of-8")
        if not least <= size <= most:
            raise Problem("bad-size", f"expected {least} to {most} bits, found {size}")
        return size

    def _additional(self, members: dict[str, Any], caller: str, slave: str) -> tuple[str, ...]:
        if "additional_slave_SAE_IDs" not in members:
            return ()
        names = members["additional_slave_SAE_IDs"]
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Problem("bad-additional", "expected a list of one or more SAE IDs")
        if len(names) > self.limits.max_sae_id_count:
            raise Problem("bad-additional", f"at most {self.limits.max_sae_id_count}, found {len(names)}")
        for name in names:
            _check_name(name, "bad-additional")
        if len({*names, caller, slave}) < len(names) + len({caller, slave}):
            raise Problem("bad-additional", "an SAE ID is there twice, or is the master's or the slave's")
        return tuple(names)

    # -- get key with key IDs ------------------------------------------------------------------------

    def _dec_query(self, query: bytes) -> tuple[str, ...]:
        fields = _query_fields(query)
        if "key_ID" not in fields:
            raise Problem("malformed", "expected ?key_ID=<UUID>")
        return (_key_id(fields["key_ID"]),)

    def _dec_body(self, master: str, body: bytes) -> tuple[str, ...]:
        entries = _body_object(body).get("key_IDs")
        if not isinstance(entries, list) or not entries:
            raise Problem("malformed", "expected key_IDs, a list of one or more objects with key_ID")
        if len(entries) > self.limits.max_key_per_request:
            raise Problem("bad-number", f"at most {self.limits.max_key_per_request} key_IDs, found {len(entries)}")
        for entry in entries:
            if not isinstance(entry, dict):
                raise Problem("malformed", "an entry of key_IDs is not an object")
            if self.compat.qukaydee and entry.get("master_SAE_ID") != master:
                raise Problem("malformed", "every entry of key_IDs needs master_SAE_ID, as in the path")
        key_ids = tuple(_key_id(entry.get("key_ID")) for entry in entries)
        if len(set(key_ids)) < len(key_ids):
            raise Problem("bad-key-id", "a key_ID is there twice")
        return key_ids

    def _take_keys(self, caller: str, master: str, key_ids: tuple[str, ...]) -> TakeKeys:
        if master == caller and self.compat.dec_path_self and caller not in self.compat.allow_self_pair:
            return TakeKeys(caller, master, key_ids, any_master=True)
        self._refuse_self(caller, master)
        return TakeKeys(caller, master, key_ids)

    def _refuse_self(self, caller: str, peer: str) -> None:
        if peer == caller and caller not in self.compat.allow_self_pair:
            raise Problem("self-pair")


# -- replies ---------------------------------------------------------------------------------------------


def render_status(status: Status) -> bytes:
    """Table 9."""
    return msgspec.json.encode(
        {
            "source_KME_ID": status.source_kme,
            "target_KME_ID": status.target_kme,
            "master_SAE_ID": status.master_sae,
            "slave_SAE_ID": status.slave_sae,
            "key_size": status.key_size_bits,
            "stored_key_count": status.stored_key_count,
            "max_key_count": status.max_key_count,
            "max_key_per_request": status.max_key_per_request,
            "max_key_size": status.max_key_size_bits,
            "min_key_size": status.min_key_size_bits,
            "max_SAE_ID_count": status.max_sae_id_count,
            "status_extension": {**SYNTHETIC, "quoit_refill_bps": status.refill_bps},
        }
    )


def render_keys(keys: Keys) -> bytes:
    """Table 11. The bytes hold the keys: send them and forget them."""
    return msgspec.json.encode(
        {
            "keys": [_key_object(key) for key in keys.keys],
            "key_container_extension": dict(SYNTHETIC),
        }
    )


def _key_object(key: Key) -> dict[str, Any]:
    """Table 11; a key that is not of quantum links alone says so in its extension."""
    shown = {"key_ID": key.key_id, "key": base64.b64encode(key.value.reveal()).decode("ascii")}
    return shown if key.made_of == "qkd" else {**shown, "key_extension": {"quoit_made_of": key.made_of}}


# -- fields ----------------------------------------------------------------------------------------------


def _body_object(body: bytes) -> dict[str, Any]:
    # Table 10: every member is optional, so no body at all says as much as {}.
    return decode_object(body) if body else {}


def _query_fields(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=16
        )
    except ValueError:
        raise Problem("malformed", "the query cannot be read") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem("malformed", "a name is twice in the query")
    return fields


def _decimal(name: str, text: str) -> int:
    if not _DECIMAL.match(text):
        raise Problem("malformed", f"{name}: expected decimal digits, found {shown(text)}")
    return int(text)


def _integer(members: dict[str, Any], name: str, default: int) -> int:
    value = members.get(name, default)
    if type(value) is not int:  # bool is an int to isinstance, and 8.0 equals 8
        raise Problem("malformed", f"{name}: expected an integer, found {shown(value)}")
    return value


def _key_id(value: object) -> str:
    if not isinstance(value, str) or not _UUID.match(value):
        raise Problem("bad-key-id", f"expected a UUID, found {shown(value)}")
    return value.lower()


def _check_extensions(members: dict[str, Any]) -> None:
    """Cl. 6.2: a mandatory extension that is not supported is refused by name; optional ones are ignored."""
    for which in ("extension_mandatory", "extension_optional"):
        items = members.get(which, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Problem("malformed", f"{which}: expected a list of objects")
    names = [name for item in members.get("extension_mandatory", []) for name in item]
    if names:
        unsupported = [name.encode("utf-8", "replace").decode()[:64] for name in names[:_MOST_NAMED]]
        raise Problem("mandatory-extension-unsupported", unsupported=unsupported)
