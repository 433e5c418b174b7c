"""URNs after RFC 8141, and the three ways in which they can be the same.

1. *Endpoint-equivalent*: RFC 8141 section 3: the assigned names agree; r-, q- and f-components do not count.
   This is what routing and identity of an endpoint go by.
2. *Instance-equal*: equivalent, and the same set of q-parameters (the nonce that tells pairings apart).
3. *Unit-equal* (`model.unit`): the same endpoint instances in any order, and the same lifecycle.

The standard library cannot be used here: `urlsplit` leaves `=nonce=1` as the query of `?=nonce=1`, and
`parse_qs` turns a plus into a space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_to_bytes

from quoit.model.problem import Problem

_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_SCHEME = re.compile(r"[uU][rR][nN]:")
_NID = re.compile(r"[A-Za-z0-9\-]*")
_GOOD_NID = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,30}[A-Za-z0-9]\Z")
_COLON = re.compile(":")
_NSS = re.compile(rf"{_PCHAR}(?:{_PCHAR}|/)*")
# The ABNF alone would let an r-component swallow the q-component: section 2.3.1 ends it at the first `?=`.
_R = re.compile(rf"{_PCHAR}(?:{_PCHAR}|/|\?(?!=))*")
_Q = re.compile(rf"{_PCHAR}(?:{_PCHAR}|[/?])*")
_F = re.compile(rf"(?:{_PCHAR}|[/?])*")
_HEX = re.compile(r"%[0-9A-Fa-f]{2}")
_PARAMETER = re.compile(r"[A-Za-z0-9._\-]+\Z")
# What may stand unescaped in a parameter's value; `&` ends it.
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$'()*+,;=:@/?")
_CHARACTERS = "a letter, digit, %HH or one of -._~!$&'()*+,;=:@"
LIFECYCLE = "lifecycle"
MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class Urn:
    """A parsed URN. `text` is as it was written, `nid` in lower case, the components as they stand in it.

    `==` compares the texts; what a URN means is compared by the functions below.
    """

    text: str
    nid: str
    nss: str
    r: str | None = None
    q: str | None = None
    f: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a namestring. Problem `malformed-urn` says where it stops being one and what may stand there."""
        if len(text) > MAX_LENGTH:
            raise Problem("malformed-urn", f"expected at most {MAX_LENGTH} characters, found {len(text)}")
        reader = _Reader(text)
        reader.take(_SCHEME, "urn:")
        nid = reader.nid()
        reader.take(_COLON, "a letter, digit or '-' of the NID, or ':' after it")
        nss = reader.take(_NSS, f"a name that begins with {_CHARACTERS}")
        r = reader.take(_R, f"an r-component that begins with {_CHARACTERS}") if reader.skip("?+") else None
        q = reader.take(_Q, f"a q-component that begins with {_CHARACTERS}") if reader.skip("?=") else None
        f = reader.take(_F, "") if reader.skip("#") else None
        reader.finish()
        return cls(text, nid.lower(), nss, r, q, f)

    @property
    def assigned_name(self) -> str:
        """Scheme and NID in lower case, hex digits of escapes in upper case; nothing decoded, no other folding."""
        return f"urn:{self.nid}:{_upper_hex(self.nss)}"

    def q_parameters(self) -> dict[str, str]:
        """The q-component as name=value pairs, decoded once; `+` is a plus, `;` is data.

        A name without `=` has the empty value. Bytes that are not UTF-8 become lone surrogates.
        Problem `malformed-urn` for a bad or repeated name.
        """
        pairs: dict[str, str] = {}
        for part in self.q.split("&") if self.q else ():
            name, _, value = part.partition("=")
            if not _PARAMETER.match(name):
                raise Problem(
                    "malformed-urn",
                    f"expected name=value with a name of letters, digits, '.', '_' or '-' in the q-component, "
                    f"found {part[:80]!r}",
                )
            if name in pairs:
                raise Problem("malformed-urn", f"expected each parameter once, found {name[:80]!r} twice")
            pairs[name] = unquote_to_bytes(value).decode("utf-8", "surrogateescape")
        return pairs

    @property
    def canonical_q(self) -> str:
        """The q-component with sorted names and only the escapes that are needed.

        The syntax inside it is its owner's business (RFC 8141 section 2.3.2): one that is not made of pairs
        stands as it is, with upper-case escapes.
        """
        try:
            pairs = self.q_parameters()
        except Problem:
            return _upper_hex(self.q or "")
        return write_parameters(pairs)

    @property
    def canonical(self) -> str:
        """Assigned name and canonical q-component: equal for equal instances. Never longer than `text`."""
        return f"{self.assigned_name}?={self.canonical_q}" if self.q else self.assigned_name

    def __str__(self) -> str:
        return self.text


class _Reader:
    """Reads a namestring from left to right and knows where it is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def take(self, form: re.Pattern[str], expected: str) -> str:
        found = form.match(self._text, self._at)
        if found is None:
            raise self._problem(expected)
        self._at = found.end()
        return found[0]

    def nid(self) -> str:
        start = self._at
        nid = self.take(_NID, "")
        if not _GOOD_NID.match(nid):
            self._at = start
            raise self._problem("a NID of 2 to 32 letters, digits and '-' that neither begins nor ends with '-'")
        return nid

    def skip(self, mark: str) -> bool:
        """Whether `mark` stands here; if so, step over it."""
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def finish(self) -> None:
        if self._at == len(self._text):
            return
        here = self._text[self._at]
        if here == "%":
            raise self._problem("two hex digits after '%'")
        if here == "?":
            raise self._problem("'?+', '?=' or '#' (each once and in this order), or %3F for a question mark in a name")
        escaped = "".join(f"%{byte:02X}" for byte in here.encode("utf-8", "surrogatepass"))
        raise self._problem(f"{_CHARACTERS} or '/', or the end (this character is written {escaped})")

    def _problem(self, expected: str) -> Problem:
        found = repr(self._text[self._at]) if self._at < len(self._text) else "the end"
        where = f"at position {self._at} of {self._text[:80]!r}"
        return Problem("malformed-urn", f"expected {expected} {where}, found {found}", position=self._at)


def _upper_hex(text: str) -> str:
    return _HEX.sub(lambda escape: escape[0].upper(), text)


def _escape(value: str) -> str:
    try:
        data = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as fault:
        raise Problem("malformed-urn", f"expected text, found a lone surrogate in {value[:80]!r}") from fault
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in data)


def write_parameters(pairs: dict[str, str]) -> str:
    """Pairs as a canonical q-component: sorted by name, an empty value without `=`.

    Problem `malformed-urn` for a name or a value that could not be read back.
    """
    for name in pairs:
        if not _PARAMETER.match(name):
            raise Problem("malformed-urn", f"expected a name of letters, digits, '.', '_' or '-', found {name[:80]!r}")
    return "&".join(f"{name}={_escape(value)}" if value else name for name, value in sorted(pairs.items()))


def endpoint_equivalent(a: Urn, b: Urn) -> bool:
    """RFC 8141 URN-equivalence."""
    return a.assigned_name == b.assigned_name


def instance_equal(a: Urn, b: Urn) -> bool:
    """Equivalent, and the same q-parameters."""
    return a.canonical == b.canonical


def covers(prefix: Urn, urn: Urn) -> bool:
    """Whether `prefix` is `urn` or ends at one of its labels (`:` or `/`): urn:x:a covers urn:x:a:b, not urn:x:ab.

    A prefix may end in the separator itself: urn:x:a: covers urn:x:a:b, but not urn:x:a, which is another name.
    """
    short, full = prefix.assigned_name, urn.assigned_name
    if not full.startswith(short):
        return False
    rest = full[len(short) :]
    return not rest or rest[0] in ":/" or short[-1] in ":/"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace identifier and the names that quoit gives meaning to in it.

    `qkd` is not registered with IANA, so that a network may choose another. Problem `malformed-urn` for a
    `nid` that cannot be one.
    """

    nid: str = "qkd"

    def __post_init__(self) -> None:
        Urn.parse(f"urn:{self.nid}:x")

    def is_lifecycle(self, urn: Urn) -> bool:
        """Whether this is a lifecycle URN: its NSS is exactly `lifecycle`."""
        return urn.nid == self.nid.lower() and urn.nss == LIFECYCLE

    def lifecycle(self, q: str) -> Urn:
        """A lifecycle URN with this q-component."""
        return Urn.parse(f"urn:{self.nid.lower()}:{LIFECYCLE}?={q}")

    def endpoint(self, text: str) -> Urn:
        """An endpoint's URN as an application may name it: without f-component, which only its client reads.

        Problem `malformed-urn` for a lifecycle URN, and for an r-component: there is no resolver to give it to.
        """
        urn = Urn.parse(text)
        if urn.f is not None:
            urn = Urn.parse(text.partition("#")[0])
        if self.is_lifecycle(urn):
            raise Problem("malformed-urn", f"expected an endpoint, found the lifecycle URN {text[:80]!r}")
        if urn.r is not None:
            raise Problem("malformed-urn", f"expected an endpoint without r-component (?+), found {text[:80]!r}")
        return urn

    def root(self, text: str) -> Urn:
        """A domain's prefix: an assigned name only. Problem `malformed-urn` if `lifecycle` URNs would fall in it."""
        urn = Urn.parse(text)
        if urn.r is not None or urn.q is not None or urn.f is not None:
            raise Problem("malformed-urn", f"expected a prefix without ?+, ?= and #, found {text[:80]!r}")
        if self.is_lifecycle(urn):
            raise Problem(
                "malformed-urn", f"expected another name than {LIFECYCLE!r} for a domain, found {text[:80]!r}"
            )
        return urn
