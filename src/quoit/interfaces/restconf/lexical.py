"""The written form of values, where yangson is more lenient than RFC 7950: checked before it sees them."""

from __future__ import annotations

import re
from typing import Any

from yangson.datatype import Decimal64Type, Int64Type, LeafrefType, StringType, Uint64Type

from quoit.interfaces.restconf.errors import RestconfError, bad_value
from quoit.interfaces.strict_json import shown

_INTEGER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]+(?:\.([0-9]+))?\Z", re.ASCII)
# RFC 7950 cl. 14, yang-char: what is not here has no place in a string.
_NO_YANG_CHARACTER = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd"
    + "".join(f"{chr(p * 0x10000)}-{chr(p * 0x10000 + 0xFFFD)}" for p in range(1, 17))
    + "]"
)


def check_value(kind: Any, value: Any, where: str) -> None:
    """Raises invalid-value if a JSON value of the YANG type `kind` is not written as that type's values are.

    Types are checked by yangson; this is about numbers in strings (no spaces, no exponent, no more fraction digits than
    the type has: yangson would round them) and characters.
    """
    if isinstance(kind, LeafrefType):
        kind = kind.ref_type
    if not isinstance(value, str):
        return
    if isinstance(kind, Decimal64Type):
        found = _DECIMAL.match(value)
        if found is None or len((found.group(1) or "").rstrip("0")) > kind.fraction_digits:
            raise _unfit(value, f"a decimal64 with {kind.fraction_digits} fraction digits", where)
    elif isinstance(kind, (Int64Type, Uint64Type)):
        if not _INTEGER.match(value):
            raise _unfit(value, f"an {kind.yang_type()}", where)
    elif isinstance(kind, StringType) and _NO_YANG_CHARACTER.search(value):
        raise _unfit(value, "a string of characters that YANG permits", where)


def check_key(kind: Any, text: str, where: str) -> None:
    """The same for a key in a path, where all numbers are text."""
    if isinstance(kind, LeafrefType):
        kind = kind.ref_type
    if kind.yang_type().removeprefix("u") in ("int8", "int16", "int32", "int64") and not _INTEGER.match(text):
        raise _unfit(text, f"an {kind.yang_type()}", where)
    check_value(kind, text, where)


def _unfit(value: str, wanted: str, where: str) -> RestconfError:
    return bad_value(f"expected {wanted}, found {shown(value)}", where, "invalid-type")
