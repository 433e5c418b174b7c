"""The lifecycle URN of a service unit: how large its content is, how good, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Self

from quoit.model.problem import Problem
from quoit.model.urn import LIFECYCLE, Namespace, Urn, write_parameters

SIZE, VALID_UNTIL, FIDELITY = "size", "valid-until", "fidelity"
_KNOWN = (SIZE, VALID_UNTIL, FIDELITY)
MAX_NUMBER = 10**18 - 1
_WHOLE = re.compile(r"[0-9]{1,18}\Z")
_DECIMAL = re.compile(r"(?:0(?:\.[0-9]{1,15})?|1(?:\.0{1,15})?)\Z")


@dataclass(frozen=True)
class Lifecycle:
    """`size`: bits of a key, states of an entanglement unit; above 0.

    `valid_until_unix_s`: None is without end. `fidelity`: the least one promised, 0 to 1.
    `more`: parameters that have no meaning here; they are kept, and count in comparisons.
    Problem `bad-lifecycle` for values outside these, `malformed-urn` for names and values in `more` that no URN holds.
    """

    size: int
    valid_until_unix_s: int | None = None
    fidelity: Decimal | None = None
    more: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # What can be built can be written as a URN and read back (unless `more` is too long for one).
        if not 1 <= self.size <= MAX_NUMBER:
            raise Problem(
                "bad-lifecycle", f"{SIZE}: expected a whole number above 0, at most {MAX_NUMBER}, found {self.size}"
            )
        until = self.valid_until_unix_s
        if until is not None and not 0 <= until <= MAX_NUMBER:
            raise Problem("bad-lifecycle", f"{VALID_UNTIL}: expected 0 to {MAX_NUMBER}, found {until}")
        if self.fidelity is not None and not _DECIMAL.match(f"{self.fidelity:f}"):
            raise Problem("bad-lifecycle", f"{FIDELITY}: expected 0 to 1, at most 15 decimals, found {self.fidelity}")
        write_parameters(dict(self.more))
        taken = [name for name in _KNOWN if name in self.more]
        if taken:
            raise Problem("bad-lifecycle", f"expected {taken[0]} as an attribute, found it among the others")
        object.__setattr__(self, "more", MappingProxyType(dict(self.more)))

    @classmethod
    def from_urn(cls, urn: Urn, namespace: Namespace) -> Self:
        """Problem `bad-lifecycle` if the URN is not one, or a parameter is missing, bad or repeated."""
        if not namespace.is_lifecycle(urn):
            raise Problem("bad-lifecycle", f"expected urn:{namespace.nid}:{LIFECYCLE}?=..., found {urn.text[:80]!r}")
        if urn.r is not None:
            raise Problem("bad-lifecycle", f"expected no r-component (?+), found {urn.text[:80]!r}")
        try:
            given = urn.q_parameters()
        except Problem as problem:
            raise Problem("bad-lifecycle", problem.detail) from problem
        size = given.pop(SIZE, None)
        if size is None:
            raise Problem("bad-lifecycle", f"expected the parameter {SIZE}, found {', '.join(given) or 'none'}")
        until, fidelity = given.pop(VALID_UNTIL, None), given.pop(FIDELITY, None)
        return cls(
            _whole_number(SIZE, size),
            None if until is None else _whole_number(VALID_UNTIL, until),
            None if fidelity is None else _fraction(FIDELITY, fidelity),
            given,
        )

    @classmethod
    def parse(cls, text: str, namespace: Namespace) -> Self:
        """`from_urn` of a text. Problem `malformed-urn` or `bad-lifecycle`."""
        return cls.from_urn(Urn.parse(text), namespace)

    def to_urn(self, namespace: Namespace) -> Urn:
        """The lifecycle URN with its parameters in canonical order: equal lifecycles give equal texts."""
        pairs = {SIZE: str(self.size), **self.more}
        if self.valid_until_unix_s is not None:
            pairs[VALID_UNTIL] = str(self.valid_until_unix_s)
        if self.fidelity is not None:
            # 0.90 and 0.9 are the same promise
            pairs[FIDELITY] = f"{self.fidelity.normalize():f}"
        return namespace.lifecycle(write_parameters(pairs))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy is neither copied nor pickled
        return type(self), (self.size, self.valid_until_unix_s, self.fidelity, dict(self.more))

    def valid_at(self, unix_s: float) -> bool:
        """Whether it is still good at this time; at `valid_until_unix_s` itself it is over."""
        return self.valid_until_unix_s is None or unix_s < self.valid_until_unix_s


def _whole_number(name: str, text: str) -> int:
    if not _WHOLE.match(text):
        raise Problem("bad-lifecycle", f"{name}: expected a whole number, found {text[:40]!r}")
    return int(text)


def _fraction(name: str, text: str) -> Decimal:
    if not _DECIMAL.match(text):
        raise Problem("bad-lifecycle", f"{name}: expected a decimal of 0 to 1 such as 0.95, found {text[:40]!r}")
    return Decimal(text)
