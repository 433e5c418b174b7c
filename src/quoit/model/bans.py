"""Blocks of links that may not be used: what a quarantine says, for as long as anybody can still ask."""

from __future__ import annotations

from collections.abc import Iterator


class Bans:
    """Stretches of block numbers by link, both ends included."""

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[int, int]]] = {}

    def ban(self, link: str, first: int, last: int) -> None:
        """Forbid the blocks from `first` to `last`; stretches that meet become one."""
        merged = []
        for known_first, known_last in self._of.get(link, ()):
            if known_last + 1 < first or last + 1 < known_first:
                merged.append((known_first, known_last))
            else:
                first, last = min(first, known_first), max(last, known_last)
        self._of[link] = sorted([*merged, (first, last)])

    def readmit(self, link: str, first: int) -> None:
        """Blocks from `first` on are made anew and welcome; those before it stay forbidden."""
        left = [(one, min(other, first - 1)) for one, other in self._of.get(link, ()) if one < first]
        if left:
            self._of[link] = left
        else:
            self._of.pop(link, None)

    def covers(self, link: str, block: int) -> bool:
        """Whether this block is forbidden."""
        return any(first <= block <= last for first, last in self._of.get(link, ()))

    def within(self, link: str, first: int, last: int) -> bool:
        """Whether all of these blocks are forbidden."""
        return any(one <= first and last <= other for one, other in self._of.get(link, ()))

    def of(self, link: str) -> tuple[tuple[int, int], ...]:
        """The forbidden stretches of one link, in order."""
        return tuple(self._of.get(link, ()))

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        for link in sorted(self._of):
            for first, last in self._of[link]:
                yield link, first, last
