"""The lifecycle URN of a service unit: how large its content is and how long it is good for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from quoit.model.problem import Problem
from quoit.model.urn import Namespace, Urn

SIZE, VALID_UNTIL = "size", "valid-until"


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Problem("bad-lifecycle", f"{name}: expected a whole number, found {text[:40]!r}")
    return int(text)


@dataclass(frozen=True)
class Lifecycle:
    """`size`: bits of a key, states of an entanglement unit. `valid_until_unix_s`: equality is expired.

    Parameters that are not known here are kept, and count in comparisons.
    """

    size: int
    valid_until_unix_s: int | None = None
    more: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_urn(cls, urn: Urn, namespace: Namespace) -> Self:
        """Problem `bad-lifecycle` if the URN is not one, or a parameter is bad."""
        if not namespace.is_lifecycle(urn):
            raise Problem("bad-lifecycle", f"expected urn:{namespace.nid}:lifecycle?=..., found {urn.text!r}")
        given = urn.parameters()
        if SIZE not in given:
            raise Problem("bad-lifecycle", "size is missing")
        size = _whole_number(SIZE, given.pop(SIZE))
        if size == 0:
            raise Problem("bad-lifecycle", "size must be above 0")
        until = given.pop(VALID_UNTIL, None)
        limit = None if until is None else _whole_number(VALID_UNTIL, until)
        return cls(size, limit, MappingProxyType(given))

    def to_urn(self, namespace: Namespace) -> Urn:
        """The lifecycle URN with its parameters in canonical order."""
        pairs = {SIZE: str(self.size), **self.more}
        if self.valid_until_unix_s is not None:
            pairs[VALID_UNTIL] = str(self.valid_until_unix_s)
        return namespace.lifecycle("&".join(f"{k}={v}" for k, v in sorted(pairs.items())))

    def expired(self, unix_s: float) -> bool:
        """Whether it is over at this time."""
        return self.valid_until_unix_s is not None and unix_s >= self.valid_until_unix_s
