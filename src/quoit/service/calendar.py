"""The scenario's calendar: which Unix time an instant has, and the namespace of its URNs."""

from __future__ import annotations

from dataclasses import dataclass

from quoit.model.urn import Namespace


@dataclass(frozen=True)
class Calendar:
    """`epoch_unix_s` is the Unix time of the scenario's instant 0. The host's clock plays no part."""

    epoch_unix_s: float
    namespace: Namespace

    def unix_s(self, at_ns: int) -> float:
        """Unix time of an instant."""
        return self.epoch_unix_s + at_ns / 1e9

    def ns_of(self, unix_s: float) -> int:
        """The instant of a Unix time."""
        return round((unix_s - self.epoch_unix_s) * 1e9)
