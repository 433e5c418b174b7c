"""The QUI: what a domain calls the fabric resources behind a service unit.

A service unit's identifier never changes. The resources that hold it may: a link is quarantined, a memory
decoheres, a path is taken back. The QUI is the name between the two. It is valid in one domain only, keeps
its identity when it is bound to other resources, and counts how often that happened, so that a message about
an earlier binding can be told from one about the present.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from quoit.model.problem import Problem

_TEXT = re.compile(r"(?P<domain>[A-Za-z0-9][A-Za-z0-9_\-]{0,63})/(?P<serial>0|[1-9][0-9]{0,17})\Z")


@dataclass(frozen=True, slots=True)
class Binding:
    """The stretch of a link's key or pair stream that holds the content.

    `offset` and `bits` count bits of the block for keys, pairs for entanglement.
    """

    link: str
    block: int
    offset: int
    bits: int

    def __post_init__(self) -> None:
        if self.block < 0 or self.offset < 0 or self.bits < 1:
            raise ValueError(
                f"expected block and offset of 0 or more and at least one bit on {self.link!r}, "
                f"found block {self.block}, offset {self.offset}, {self.bits} bits"
            )

    def overlaps(self, other: Binding) -> bool:
        """Whether a bit belongs to both: two live QUIs must never share one."""
        return (
            self.link == other.link
            and self.block == other.block
            and self.offset < other.offset + other.bits
            and other.offset < self.offset + self.bits
        )


@dataclass(frozen=True, slots=True)
class Qui:
    """One QUI. `domain` and `serial` are its identity; everything else may change with `rebind`.

    `coherence_deadline_ns`: simulated instant after which the content must not be used; None for keys, which
    do not decay. `quality`: 0 to 1, the fidelity of a pair, or 1 - QBER of the block a key came from.
    """

    domain: str
    serial: int
    binding: Binding
    coherence_deadline_ns: int | None = None
    quality: float = 1.0
    generation: int = 0

    def __post_init__(self) -> None:
        if not _TEXT.match(self.text):
            raise ValueError(f"expected a domain's name and a serial of 0 or more, found {self.text!r}")
        if not 0.0 <= self.quality <= 1.0:
            raise ValueError(f"expected a quality of 0 to 1 of {self.text}, found {self.quality}")

    @property
    def text(self) -> str:
        """`domain/serial`: the same through all bindings."""
        return f"{self.domain}/{self.serial}"

    def same(self, other: Self) -> bool:
        """Whether both are the same QUI, however it is bound."""
        return (self.domain, self.serial) == (other.domain, other.serial)

    def coherent_at(self, now_ns: int) -> bool:
        """Whether the content may still be used; at the deadline itself it may not."""
        return self.coherence_deadline_ns is None or now_ns < self.coherence_deadline_ns

    def rebind(self, binding: Binding, quality: float, coherence_deadline_ns: int | None = None) -> Self:
        """The same QUI on other resources, one generation later.

        Quality and deadline belong to the resources, so both are given anew. ValueError if the content would
        change its size: the service unit above has promised it.
        """
        if binding.bits != self.binding.bits:
            raise ValueError(f"expected {self.binding.bits} bits for {self.text}, found {binding.bits}")
        return replace(
            self,
            binding=binding,
            quality=quality,
            coherence_deadline_ns=coherence_deadline_ns,
            generation=self.generation + 1,
        )


def parse_qui_text(text: str) -> tuple[str, int]:
    """(domain, serial) of a QUI's `text`. Problem `malformed` if it is none."""
    found = _TEXT.match(text)
    if found is None:
        raise Problem("malformed", f"expected a QUI such as madrid/17, found {text[:80]!r}")
    return found["domain"], int(found["serial"])
