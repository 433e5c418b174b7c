"""What really happened in a run: told by its event log, which no element reads.

Per block of link key: what an eavesdropper knows of its sifted bits, what the receiver's bound left her, what was used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from quoit.runtime.trace import Event

HELD = "held by its receiver"
"""What a receiver does of its own; no alarm, but seen from outside."""
USED = frozenset({"delivered", "pad"})
"""Uses of link key by which a secret hangs on it."""


@dataclass
class Block:
    """Key of one block. `known`: sifted bits that an eavesdropper knows. `removed`: what privacy amplification took off
    beyond what error correction told. `used`: bits handed out, with their instants."""

    link: str
    number: int
    made_ns: int
    secret: int
    removed: int
    known: int = 0
    used: list[tuple[int, int]] = field(default_factory=list)

    @property
    def insecure(self) -> int:
        """Key bits that the bound gave out as secret although she knows too much for that."""
        return min(self.secret, max(0, self.known - self.removed))


class Truth:
    """A sink for the events of one run."""

    def __init__(self) -> None:
        self._learned: dict[str, dict[int, int]] = defaultdict(dict)
        self._blocks: dict[tuple[str, int], Block] = {}
        self._used: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self.quarantined: list[tuple[int, str, int]] = []
        """(instant, link, first block) of each quarantine, by management or by a link's receiver."""
        self._moved: list[tuple[int, frozenset[str], int]] = []

    def __call__(self, event: Event) -> None:
        take = _TAKES.get(event.event)
        if take is not None:
            take(self, event)

    def _take_learned(self, event: Event) -> None:
        f = event.fields
        self._learned[f["link"]][f["chunk"]] = f["bits"]

    def _take_block(self, event: Event) -> None:
        f = event.fields
        first, last = f["chunks"]
        learned = self._learned.get(f["link"], {})
        known = sum(bits for chunk, bits in learned.items() if first <= chunk <= last)
        removed = f["sifted"] - f["leak"] - f["bits"]
        self._blocks[f["link"], f["block"]] = Block(f["link"], f["block"], event.t, f["bits"], removed, known)

    def _take_spent(self, event: Event) -> None:
        f = event.fields
        if f["use"] in USED:
            self._used[f["link"], f["block"]].append((event.t, f["bits"]))

    def _take_quarantine(self, event: Event) -> None:
        self.quarantined.append((event.t, event.fields["link"], event.fields["first_block"]))

    def _take_moved(self, event: Event) -> None:
        self._moved.append((event.t, frozenset(event.fields["nodes"][1:-1]), event.fields["bits"]))

    def _take_strayed(self, event: Event) -> None:
        self._moved.append((event.t, frozenset(event.fields["nodes"][1:-1]), -event.fields["bits"]))

    def exposed(self, nodes: Iterable[str], after_ns: int) -> int:
        """Bits of end-to-end key that went through one of these nodes later than that, and were taken in all the
        same."""
        read = frozenset(nodes)
        return sum(bits for at, via, bits in self._moved if at > after_ns and via & read)

    @property
    def learned_bits(self) -> int:
        """All sifted bits that the eavesdropper knows."""
        return sum(sum(chunks.values()) for chunks in self._learned.values())

    def blocks(self) -> list[Block]:
        """Blocks that gave key, with their use."""
        for key, block in self._blocks.items():
            block.used = self._used.get(key, [])
        return list(self._blocks.values())

    def used_in_quarantine(self, after_ns: int) -> int:
        """Bits of a quarantined block that were handed out later than the quarantine, and than this instant."""
        return sum(
            bits
            for at, link, first in self.quarantined
            for (on, number), uses in self._used.items()
            if on == link and number >= first and self._made(on, number) <= at
            for used_at, bits in uses
            if used_at > max(at, after_ns)
        )

    def _made(self, link: str, number: int) -> int:
        block = self._blocks.get((link, number))
        return block.made_ns if block is not None else 0


_TAKES = {
    "eve.learned": Truth._take_learned,
    "block.made": Truth._take_block,
    "pool.spent": Truth._take_spent,
    "link.quarantined": Truth._take_quarantine,
    "link.held": Truth._take_quarantine,
    "key.moved": Truth._take_moved,
    "key.strayed": Truth._take_strayed,
}
