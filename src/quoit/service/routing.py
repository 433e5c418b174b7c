"""Routing on URN prefixes: the longest announced prefix that covers an endpoint wins (B3)."""

from __future__ import annotations

from quoit.model.urn import Urn, covers


class PrefixTable:
    """Prefixes and where they lead."""

    def __init__(self) -> None:
        self._entries: list[tuple[Urn, str]] = []

    def announce(self, prefix: Urn, target: str) -> None:
        """Enter a prefix; an earlier entry of the same prefix goes."""
        self.withdraw(prefix)
        self._entries.append((prefix, target))
        self._entries.sort(key=lambda entry: -len(entry[0].nss))

    def withdraw(self, prefix: Urn) -> None:
        """Remove a prefix; nothing happens if it is not there."""
        self._entries = [e for e in self._entries if e[0].assigned_name != prefix.assigned_name]

    def lookup(self, endpoint: Urn) -> str | None:
        """Where the longest covering prefix leads, or None."""
        for prefix, target in self._entries:
            if covers(prefix, endpoint):
                return target
        return None
