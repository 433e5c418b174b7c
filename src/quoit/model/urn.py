"""URNs after RFC 8141, and the three ways in which they can be the same.

1. *Endpoint-equivalent*: RFC 8141 section 3: the assigned names agree; r-, q- and f-components do not count.
   This is what routing and identity of an endpoint go by.
2. *Instance-equal*: equivalent, and the same set of q-parameters (the nonce that tells pairings apart).
3. *Unit-equal* (`model.unit`): the same endpoint instances in any order, and the same lifecycle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_to_bytes

from quoit.model.problem import Problem

_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_REST = rf"{_PCHAR}(?:{_PCHAR}|[/?])*"
_R_REST = rf"{_PCHAR}(?:{_PCHAR}|/|\?(?!=))*"
_NAMESTRING = re.compile(
    rf"[uU][rR][nN]:(?P<nid>[A-Za-z0-9][A-Za-z0-9\-]{{0,30}}[A-Za-z0-9])"
    rf":(?P<nss>{_PCHAR}(?:{_PCHAR}|/)*)"
    rf"(?:\?\+(?P<r>{_R_REST}))?(?:\?=(?P<q>{_REST}))?(?:#(?P<f>(?:{_PCHAR}|[/?])*))?\Z"
)
_PREFIX = re.compile(r"[uU][rR][nN]:[A-Za-z0-9][A-Za-z0-9\-]{0,30}[A-Za-z0-9]:")
_HEX = re.compile(r"%[0-9A-Fa-f]{2}")
_NAME = re.compile(r"[A-Za-z0-9._\-]+\Z")
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$'()*+,;:@/?")
MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class Urn:
    """A parsed URN; `text` is as it was written. Compare with the functions below, not with `==`."""

    text: str
    nid: str
    nss: str
    r: str | None = None
    q: str | None = None
    f: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a namestring. Problem `malformed-urn` says where it stops being one."""
        if len(text) > MAX_LENGTH:
            raise Problem("malformed-urn", f"expected at most {MAX_LENGTH} characters, found {len(text)}")
        found = _NAMESTRING.match(text)
        if found is None:
            raise Problem("malformed-urn", _explain(text))
        return cls(text, found["nid"].lower(), found["nss"], found["r"], found["q"], found["f"])

    @property
    def assigned_name(self) -> str:
        """Scheme and NID in lower case, hex digits of escapes in upper case; nothing decoded."""
        return f"urn:{self.nid}:{_HEX.sub(lambda m: m[0].upper(), self.nss)}"

    def parameters(self) -> dict[str, str]:
        """The q-component as name=value pairs, decoded once; `+` is a plus, `;` is data.

        Problem `malformed-urn` for a bad or repeated name.
        """
        pairs: dict[str, str] = {}
        for part in self.q.split("&") if self.q else ():
            name, _, value = part.partition("=")
            if not _NAME.match(name):
                raise Problem("malformed-urn", f"expected name=value in the q-component, found {part!r}")
            if name in pairs:
                raise Problem("malformed-urn", f"parameter {name!r} occurs twice")
            pairs[name] = unquote_to_bytes(value).decode("utf-8", "surrogateescape")
        return pairs

    @property
    def canonical_q(self) -> str:
        """The q-component with sorted names and only the escapes that are needed; raw if it has no pairs."""
        try:
            pairs = self.parameters()
        except Problem:
            return _HEX.sub(lambda m: m[0].upper(), self.q or "")
        return "&".join(f"{name}={_escape(value)}" for name, value in sorted(pairs.items()))

    @property
    def canonical(self) -> str:
        """Assigned name and canonical q-component: equal for equal instances."""
        return f"{self.assigned_name}?={self.canonical_q}" if self.q else self.assigned_name

    def __str__(self) -> str:
        return self.text


def _escape(value: str) -> str:
    data = value.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if chr(b) in _SAFE else f"%{b:02X}" for b in data)


def _explain(text: str) -> str:
    if not _PREFIX.match(text):
        return f"expected urn:NID:NSS with a NID of 2 to 32 letters, digits or '-', found {text[:80]!r}"
    for end in range(len(text) - 1, 0, -1):
        if _NAMESTRING.match(text[:end]):
            return f"at position {end} of {text[:80]!r}: {text[end : end + 1]!r} cannot stand there"
    return f"the part after the NID is missing or begins wrongly in {text[:80]!r}"


def endpoint_equivalent(a: Urn, b: Urn) -> bool:
    """RFC 8141 URN-equivalence."""
    return a.assigned_name == b.assigned_name


def instance_equal(a: Urn, b: Urn) -> bool:
    """Equivalent, and the same q-parameters."""
    return a.canonical == b.canonical


def covers(prefix: Urn, urn: Urn) -> bool:
    """Whether `prefix` is `urn` or ends at one of its labels (`:` or `/`): urn:x:a covers urn:x:a:b, not urn:x:ab."""
    short, full = prefix.assigned_name, urn.assigned_name
    if not full.startswith(short):
        return False
    rest = full[len(short) :]
    return not rest or rest[0] in ":/" or short[-1] in ":/"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace identifier and the names that quoit gives meaning to in it."""

    nid: str = "qkd"

    def is_lifecycle(self, urn: Urn) -> bool:
        """Whether this is a lifecycle URN: its NSS is exactly `lifecycle`."""
        return urn.nid == self.nid.lower() and urn.nss == "lifecycle"

    def lifecycle(self, q: str) -> Urn:
        """A lifecycle URN with this q-component."""
        return Urn.parse(f"urn:{self.nid}:lifecycle?={q}")
