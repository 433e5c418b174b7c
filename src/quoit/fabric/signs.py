"""What the receiver of a link can tell from its own detectors alone: errors, decoys, bright light, a Bell test.

Its tests stand twice: in telemetry, and in the receiver's own guard, which believes nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from quoit.fabric.api import LinkReading
from quoit.planes.share_trend import ShareFloor
from quoit.planes.trend import ErrorTrend

ERRORS = "QBER trend"
"""Why a finding of raised errors is one."""


class Cause(StrEnum):
    """What a change is called."""

    EAVESDROPPING = "suspected eavesdropping"
    SPLITTING = "photon-number splitting"
    BLINDING = "detectors blinded"
    DISAGREEMENT = "telemetry disagreement"
    SILENCE = "telemetry silent"
    ENTANGLEMENT = "entanglement below its promise"
    NOISE = "noise light"
    LOSS = "loss of light"
    CUT = "no light"
    RISE = "more light than before"


class Finding(NamedTuple):
    """A change, since the reading that ended in block `first_block`. `void`: blocks from there on must not be used.
    `over`: it is as it was before."""

    cause: Cause
    first_block: int
    why: str
    void: bool = True
    over: bool = False


@dataclass(frozen=True)
class BatteryPlan:
    """What the tests must know of a link. `shares`: per intensity, strongest first, its mean photon number times its
    probability (empty: no decoys). `steady`: whether the rate of a healthy link does not change by itself. `bell`: S
    that pairs of the promised fidelity show at the ends' readouts (None: no Bell test, or one that could not tell)."""

    ceiling: float
    shares: tuple[float, ...] = ()
    steady: bool = True
    bell: float | None = None


CLASSICAL_S = 2.0
LEAST_BELL = 2.02
"""A promise of less could not be told from no entanglement at all."""


def promised_bell(fidelity: float, readout: float) -> float | None:
    """S of Werner pairs of this fidelity, with so much of each correlator left by both ends' readouts: 2 sqrt2 (4 F -
    1)/3 (Horodecki et al., Phys. Lett. A 200, 340 (1995)). None if it is hardly above the classical bound."""
    s = 2 * sqrt(2) * (4 * fidelity - 1) / 3 * readout
    return s if s >= LEAST_BELL else None


def _bell_floor(s: float | None) -> ShareFloor | None:
    """A test of the share of won rounds, built for the fall from S to the classical bound."""
    if s is None:
        return None
    won, classical = ((1 + value / 4) / 2 for value in (s, CLASSICAL_S))
    return ShareFloor(won, 1 - classical / won)


class Signs:
    """The tests of one link's readings that void key. `trend`: of its error rate."""

    def __init__(self, plan: BatteryPlan) -> None:
        self.trend = ErrorTrend(plan.ceiling)
        strongest, *weaker = plan.shares or (0.0,)
        self.floors = [(k, ShareFloor(w / (w + strongest))) for k, w in enumerate(weaker, 1) if w > 0]
        self._bell = _bell_floor(plan.bell)

    def see(self, reading: LinkReading) -> list[Finding]:
        """Take in a reading; what it shows, the gravest first. Raised errors are called eavesdropping."""
        found: list[Finding] = []
        trend, block, clicks = self.trend, reading.block, reading.clicks
        if reading.bright:
            why = "the detectors' supply current shows bright light"
            found.append(Finding(Cause.BLINDING, trend.last_trusted, why))
        for k, floor in self.floors:
            part = clicks[k] if len(clicks) > k else 0
            whole = part + clicks[0] if len(clicks) > k else 0
            if floor.add(part, whole, block):
                why = f"of {whole} clicks {part} are of intensity {k}: less than any loss or noise leaves"
                found.append(Finding(Cause.SPLITTING, floor.since, why))
        if self._bell is not None and reading.games:
            self._play(reading, self._bell, found)
        if trend.add(reading.tested, reading.errors, block):
            found.append(Finding(Cause.EAVESDROPPING, trend.since, ERRORS))
        return found

    @staticmethod
    def _play(reading: LinkReading, bell: ShareFloor, found: list[Finding]) -> None:
        """The Bell test's rounds: nothing that keeps the promised fidelity wins fewer."""
        played, won = reading.games
        if bell.add(won, played, reading.block):
            s = 4 * (2 * won / played - 1)
            found.append(Finding(Cause.ENTANGLEMENT, bell.since, f"S of the last {played} rounds is {s:.2f}"))

    def skip(self, block: int) -> None:
        """A reading that must not count."""
        self.trend.skip(block)

    def calm(self, reading: LinkReading) -> bool:
        """Whether a reading looks as those did before."""
        quiet = not reading.bright and self.trend.normal(reading.tested, reading.errors)
        if self._bell is not None and reading.games:
            played, won = reading.games
            quiet = quiet and self._bell.normal(won, played)
        return quiet and all(floor.normal(*share(reading, k)) for k, floor in self.floors)

    def rearm(self) -> None:
        """Forget excursions, keep baselines."""
        self.trend.rearm()
        for _, floor in self.floors:
            floor.rearm()
        if self._bell is not None:
            self._bell.rearm()


def share(reading: LinkReading, k: int) -> tuple[int, int]:
    """Clicks of intensity k, and these together with those of the strongest one."""
    if len(reading.clicks) <= k:
        return 0, 0
    return reading.clicks[k], reading.clicks[0] + reading.clicks[k]
